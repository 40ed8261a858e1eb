"""Costs: phases, memory and threads of each contender."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from harness.analysis.trials import Block as MeasuredBlock
from harness.analysis.trials import Trial
from harness.report.figures import Bar, Bars, Stack
from harness.report.formats import NOTHING, count, mebibytes, number, percent, seconds
from harness.report.page import (
    Block,
    Column,
    Datum,
    Figure,
    Gallery,
    Items,
    Paragraph,
    Section,
    Table,
)
from harness.report.sections.story import Story
from harness.spec.manifest import Group

PHASES = (
    "spawn",
    "import",
    "build",
    "stage",
    "first_step",
    "warm_up",
    "training",
    "evaluation",
)
LONG = "a long trial"
TOGETHER = " The workers of a short block start side by side: each then takes longer than alone."


def costs_section(story: Story) -> Section | None:
    """Where a user's time goes besides training, and what it takes of the machine.

    Nothing where no trial was planned.
    """
    if not story.is_timed and not story.run.manifest.plan.long_trials:
        return None
    blocks: list[Block] = []
    finished = [story.run.short_blocks, story.run.long_blocks]
    for group in story.cast.groups:
        blocks += [*story.heading(group), *_cost_blocks(story, group, finished)]
    return Section(
        id="costs",
        title="Time, memory and threads",
        lead="What a whole trial costs, start-up and compilation with it. Effective threads are "
        "CPU seconds ÷ wall seconds within windows: what was used, whatever was set.",
        blocks=tuple(blocks),
    )


def _cost_blocks(
    story: Story, group: Group, finished: Sequence[Sequence[MeasuredBlock]]
) -> Iterator[Block]:
    short, long = (
        [
            trial
            for block in blocks
            for trial in block.trials
            if block.group == group.name and not trial.started.twin
        ]
        for blocks in finished
    )
    # Workers of short trials start side by side: those of long ones show what each takes alone.
    chosen = _one_a_cell(long) or _one_a_cell(short)
    if not chosen:
        yield Paragraph(text="No trial was finished.", tone="quiet")
        return
    which = LONG if long else "a short trial"
    yield Gallery(
        figures=(
            _phases_figure(story, group, chosen, which),
            _memory_figure(story, group, [*short, *long]),
        )
    )
    yield Items(items=tuple(_phases_in_words(story, trial) for trial in chosen))
    yield _phases_table(story, chosen, which)
    yield _usage_table(story, group, [*short, *long])


def _one_a_cell(trials: Sequence[Trial]) -> list[Trial]:
    """The first trial of each cell."""
    first: dict[str, Trial] = {}
    for trial in trials:
        first.setdefault(trial.started.cell, trial)
    return list(first.values())


def _phases_figure(story: Story, group: Group, chosen: Sequence[Trial], which: str) -> Figure:
    return Figure(
        name=f"phases-{story.cast.number(group)}",
        caption=f"Phases of {which} of each contender, {story.cast.label(group)}. The first step "
        "holds the compilation.",
        chart=Stack(
            unit="seconds",
            parts=tuple(phase.replace("_", " ") for phase in PHASES),
            rows=tuple(
                (
                    story.cast.name(trial.started.cell),
                    tuple(trial.finished.phases.get(phase, 0.0) for phase in PHASES),
                )
                for trial in chosen
            ),
            styles=tuple(story.cast.style(trial.started.cell) for trial in chosen),
        ),
    )


def _memory_figure(story: Story, group: Group, trials: Sequence[Trial]) -> Figure:
    peaks: defaultdict[str, int] = defaultdict(int)
    for trial in trials:
        cell = trial.started.cell
        peaks[cell] = max(peaks[cell], trial.finished.peak_memory_bytes)
    return Figure(
        name=f"memory-{story.cast.number(group)}",
        caption=f"Peak memory of a worker, {story.cast.label(group)}: the largest of its trials, "
        "interpreter and libraries with it.",
        chart=Bars(
            unit="MiB of memory",
            bars=tuple(
                Bar(
                    label=story.cast.name(cell),
                    style=story.cast.style(cell),
                    value=peak / 2**20,
                    text=number(peak / 2**20),
                )
                for cell, peak in peaks.items()
            ),
        ),
    )


def _phases_in_words(story: Story, trial: Trial) -> str:
    """Where its seconds go, in order of size: ``A: 27.7 s, of which training 78 %, import 8 %``."""
    phases = {name: trial.finished.phases.get(name, 0.0) for name in PHASES}
    total = math.fsum(phases.values())
    if total <= 0:
        return f"{story.cast.name(trial.started.cell)}: nothing was recorded."
    shares = {name: round(100 * length / total) for name, length in phases.items()}
    large = sorted((name for name in PHASES if shares[name] > 1), key=lambda name: -phases[name])
    parts = [f"{name.replace('_', ' ')} {shares[name]} %" for name in large]
    name = story.cast.name(trial.started.cell)
    return f"{name}: {seconds(total)} in all; {', '.join(parts)}."


def _phases_table(story: Story, chosen: Sequence[Trial], which: str) -> Table:
    names = [Column(phase.replace("_", " ").capitalize(), number=True) for phase in PHASES]
    return Table(
        caption=f"Phases of {which}",
        columns=(Column("Contender"), *names),
        rows=tuple(
            (
                story.contender(trial.started.cell),
                *(Datum(seconds(trial.finished.phases.get(phase))) for phase in PHASES),
            )
            for trial in chosen
        ),
        note=f"The first trial of each contender, as recorded.{'' if which == LONG else TOGETHER}",
    )


def _usage_table(story: Story, group: Group, trials: Sequence[Trial]) -> Table:
    memory: defaultdict[str, list[int]] = defaultdict(list)
    libraries: dict[str, dict[str, int]] = {}
    for trial in trials:
        memory[trial.started.cell].append(trial.finished.peak_memory_bytes)
        libraries[trial.started.cell] = trial.finished.threads
    rates = {
        rate.cell: rate
        for rate in story.judgement.rates
        if rate.group == group.name and not rate.twin
    }
    rows = []
    for cell, peaks in memory.items():
        known, rate = story.cast.member(cell).cell, rates.get(cell)
        used = (
            Datum(number(rate.effective_threads) if rate else NOTHING),
            Datum(percent(rate.waiting_cpu_share) if rate else NOTHING),
        )
        rows.append(
            (
                story.contender(cell),
                Datum(mebibytes(max(peaks))),
                Datum(count(len(peaks), "trial")),
                Datum(f"{known.threads}" if known else NOTHING),
                Datum(_libraries_in_words(libraries[cell])),
                *(used if rates else ()),
            )
        )
    in_windows = Column("Effective threads", number=True), Column("CPU while waiting", number=True)
    waiting = " CPU while waiting: share of one CPU used while others had their turn."
    return Table(
        caption="Memory and threads",
        columns=(
            Column("Contender"),
            Column("Peak memory", number=True),
            Column("Largest of", number=True),
            Column("Threads set", number=True),
            Column("As libraries report"),
            *(in_windows if rates else ()),
        ),
        rows=tuple(rows),
        note="Peak memory is the worker's peak resident set, its interpreter and libraries with "
        f"it.{waiting if rates else ''}",
    )


def _libraries_in_words(threads: Mapping[str, int]) -> str:
    """``openblas 2, openmp 2``: the kind of each library, not the file that it was read from."""
    found = dict.fromkeys(f"{name.split(' ')[0]} {number}" for name, number in threads.items())
    return ", ".join(found) or NOTHING
