"""Costs: phases, memory and threads of each contender, and every timed window."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness.analysis.trials import Block as MeasuredBlock
from harness.analysis.trials import Trial, finished_blocks
from harness.report.figures import Cloud, Scatter, Stack
from harness.report.formats import NOTHING, count, mebibytes, number, percent, seconds
from harness.report.page import Block, Column, Datum, Download, Figure, Paragraph, Section, Table
from harness.report.sections.story import Story
from harness.spec.events import Group, Window

MOST_RAW_WINDOWS = 5_000
"""Half a megabyte of page; more are left to the run's own files."""

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


def costs_section(story: Story) -> Section | None:
    """Where a user's time goes besides training, and what it takes of the machine.

    Nothing where no trial was planned.
    """
    if not story.is_timed and not story.run.manifest.plan.long_trials:
        return None
    blocks: list[Block] = []
    finished = [finished_blocks(story.run, long=long) for long in (False, True)]
    for group in story.cast.groups:
        blocks += [*story.heading(group), *_cost_blocks(story, group, finished)]
    return Section(
        id="costs",
        title="Time, memory and threads",
        lead="What a whole trial costs, start-up and compilation with it. Effective threads are "
        "CPU seconds ÷ wall seconds within windows: what was used, whatever was set.",
        blocks=tuple(blocks),
    )


def windows_section(story: Story) -> Section | None:
    """Every timed window of the short trials; nothing where none were planned."""
    if not story.is_timed:
        return None
    blocks: list[Block] = []
    finished = finished_blocks(story.run, long=False)
    total = sum(len(trial.windows) for block in finished for trial in block.trials)
    for group in story.cast.groups:
        own = [each for each in finished if each.group == group.name]
        blocks += story.heading(group)
        if any(trial.windows for block in own for trial in block.trials):
            blocks.append(_windows_figure(story, group, own))
            blocks.append(_raw_windows(story, group, own, few=total <= MOST_RAW_WINDOWS))
            blocks += _flags_table(story, group)
        else:
            blocks.append(Paragraph(text="No block of short trials was finished.", tone="quiet"))
    return Section(
        id="windows",
        title="Windows",
        lead="Each dot is one timed window. A trend, a jump or two bands tell more about the "
        "machine than any mean.",
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
    chosen = _one_a_cell(long) or _one_a_cell(short)
    if not chosen:
        yield Paragraph(text="No trial was finished.", tone="quiet")
        return
    which = "a long trial" if long else "a short trial"
    yield _phases_figure(story, group, chosen, which)
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
        note="The first trial of each contender, as recorded.",
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
        rows.append(
            (
                story.contender(cell),
                Datum(mebibytes(max(peaks))),
                Datum(count(len(peaks), "trial")),
                Datum(number(rate.effective_threads) if rate else NOTHING),
                Datum(f"{known.threads}" if known else NOTHING),
                Datum(", ".join(f"{name} {n}" for name, n in libraries[cell].items()) or NOTHING),
                Datum(percent(rate.waiting_cpu_share) if rate else NOTHING),
            )
        )
    return Table(
        caption="Memory and threads",
        columns=(
            Column("Contender"),
            Column("Peak memory", number=True),
            Column("Largest of", number=True),
            Column("Effective threads", number=True),
            Column("Set", number=True),
            Column("As libraries report"),
            Column("CPU while waiting", number=True),
        ),
        rows=tuple(rows),
        note="Peak memory is the worker's peak resident set, its interpreter and libraries with "
        "it. CPU while waiting: share of one CPU used while others had their turn.",
    )


def _windows_figure(story: Story, group: Group, blocks: Sequence[MeasuredBlock]) -> Figure:
    flagged = {flag.block for flag in story.judgement.block_flags if flag.group == group.name}
    windows: defaultdict[tuple[str, bool], list[tuple[Window, bool]]] = defaultdict(list)
    for block in blocks:
        for trial in block.trials:
            windows[trial.started.cell, trial.started.twin] += [
                (window, block.block in flagged)
                for window in trial.windows
                if window.steps and window.wall_seconds > 0
            ]
    began = min((window.at for own in windows.values() for window, _ in own), default=0.0)
    clouds = tuple(
        Cloud(
            label=story.cast.name(cell, twin=twin),
            style=story.cast.style(cell),
            faint=twin,
            x=tuple((window.at - began) / 60 for window, _ in own),
            y=tuple(window.wall_seconds / window.steps * 1000 for window, _ in own),
            flagged=tuple(mark for _, mark in own),
        )
        for (cell, twin), own in windows.items()
    )
    return Figure(
        name=f"windows-{story.cast.number(group)}",
        caption=f"Milliseconds a step of every window, {story.cast.label(group)}; lower is faster.",
        chart=Scatter(x_unit="minutes", y_unit="ms a step", clouds=clouds),
    )


def _raw_windows(
    story: Story, group: Group, blocks: Sequence[MeasuredBlock], *, few: bool
) -> Block:
    """Every window as a line of CSV, where the run has so few that a page can hold them."""
    lines = [
        (
            block.block,
            trial.started.cell,
            int(trial.started.twin),
            window.round,
            window.position,
            window.at,
            window.steps,
            window.examples,
            window.wall_seconds,
            window.cpu_seconds,
            window.steal_seconds,
        )
        for block in blocks
        for trial in block.trials
        for window in trial.windows
    ]
    place = f"results/runs/{story.run.manifest.run}/trials.jsonl"
    if not few:
        return Paragraph(
            text=f"{count(len(lines), 'window')}: too many for a page; {place} has them.",
            tone="quiet",
        )
    heads = (
        "block,cell,twin,round,position,at_unix_seconds,steps,examples,wall_seconds,cpu_seconds,"
        "steal_seconds"
    )
    buffer = io.StringIO()
    buffer.write(heads + "\n")
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return Download(
        file=f"windows-{story.cast.number(group)}.csv",
        text=f"Raw values of {count(len(lines), 'window')}, CSV",
        csv=buffer.getvalue(),
    )


def _flags_table(story: Story, group: Group) -> Iterator[Block]:
    flags = [flag for flag in story.judgement.block_flags if flag.group == group.name]
    if not flags:
        yield Paragraph(text="No block was flagged.", tone="quiet")
        return
    kinds = {
        "steal": "CPU time that the hypervisor gave to others",
        "control": "fixed matrix product, off the run's median by",
    }
    yield Table(
        caption="Flagged blocks",
        columns=(
            Column("Block", number=True),
            Column("What"),
            Column("Value", number=True),
            Column("Limit", number=True),
        ),
        rows=tuple(
            (
                Datum(f"{flag.block}"),
                Datum(kinds[flag.kind]),
                Datum(percent(flag.value), "doubt"),
                Datum(percent(flag.limit), "quiet"),
            )
            for flag in flags
        ),
        note="Flagged blocks are shown, and they count.",
    )
