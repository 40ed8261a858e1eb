"""Windows: every one that was timed, over time and side by side, and what blocks are flagged by."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

from harness.analysis.flags import (
    CONTROL_LIMIT,
    STEAL_LIMIT,
    WINDOW_RULES,
    WindowRule,
    rules_applied,
    window_flags,
)
from harness.analysis.foreign import FOREIGN_LIMIT
from harness.analysis.trials import Block as MeasuredBlock
from harness.report.figures import Box, Boxes, Cloud, Scatter
from harness.report.formats import count, number, percent, seconds
from harness.report.page import (
    Block,
    Column,
    Datum,
    Details,
    Download,
    Figure,
    Gallery,
    Paragraph,
    Section,
    Table,
)
from harness.report.sections.story import Story
from harness.spec.events import TrialStarted, Window
from harness.spec.manifest import Group
from harness.texts import csv_table

MOST_RAW_WINDOWS = 5_000
"""Half a megabyte of page; more are left to the run's own files."""

FLAGGING = (
    "A block is flagged where the hypervisor gave more than "
    f"{STEAL_LIMIT * 100:.0f} % of the CPUs' time to others, or where a fixed matrix product, the "
    f"control kernel, was more than {CONTROL_LIMIT * 100:.0f} % off the median over the run, or "
    f"where others took more than {FOREIGN_LIMIT * 100:.0f} % of a CPU from a contender's threads. "
    "Single windows are flagged likewise, and wear a cross. All of them count: no block is "
    "dropped, whole or in part, for what the machine did."
)


def windows_section(story: Story) -> Section | None:
    """Every timed window of the short trials; nothing where none were planned."""
    if not story.is_timed:
        return None
    blocks: list[Block] = []
    finished = story.run.short_blocks
    total = sum(len(trial.windows) for block in finished for trial in block.trials)
    for group in story.cast.groups:
        own = [each for each in finished if each.group == group.name]
        blocks += story.heading(group)
        if any(trial.windows for block in own for trial in block.trials):
            blocks.append(_windows_figures(story, group, own))
            blocks.append(_raw_windows(story, group, own, few=total <= MOST_RAW_WINDOWS))
            blocks += _flags(story, group)
            blocks += _window_rules(story, own)
            blocks.append(Paragraph(text=_counted(story, group, own), tone="quiet"))
            blocks.append(Details(summary="Every block", blocks=(_unrest_table(story, own),)))
        else:
            blocks.append(Paragraph(text="No block of short trials was finished.", tone="quiet"))
    return Section(
        id="windows",
        title="Windows",
        lead="Each dot is one timed window. A trend, a jump or two bands tell more about the "
        f"machine than any mean. {FLAGGING}",
        blocks=tuple(blocks),
    )


def _windows_figures(story: Story, group: Group, blocks: Sequence[MeasuredBlock]) -> Gallery:
    flagged = _window_flags(story, blocks)
    windows: defaultdict[tuple[str, bool], list[tuple[Window, bool]]] = defaultdict(list)
    for block in blocks:
        for trial in block.trials:
            windows[trial.started.cell, trial.started.twin] += [
                (window, (window.trial, window.round) in flagged)
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
    over_time = Figure(
        name=f"windows-{story.cast.number(group)}",
        caption=f"Milliseconds a step of every window over time, {story.cast.label(group)}; lower "
        "is faster.",
        chart=Scatter(x_unit="minutes", y_unit="ms a step", clouds=clouds),
    )
    spread = Figure(
        name=f"distribution-{story.cast.number(group)}",
        caption="The same windows, each contender's in a row: the box goes from quartile to "
        "quartile, its line is the median.",
        chart=Boxes(
            unit="ms a step",
            boxes=tuple(
                Box(
                    label=cloud.label,
                    style=cloud.style,
                    faint=cloud.faint,
                    values=cloud.y,
                    text=f"{number(median(cloud.y))} ms, {count(len(cloud.y), 'window')}",
                )
                for cloud in clouds
                if cloud.y
            ),
        ),
    )
    return Gallery(figures=(over_time, spread))


def _raw_windows(
    story: Story, group: Group, blocks: Sequence[MeasuredBlock], *, few: bool
) -> Block:
    """Every window as a line of CSV, where the run has so few that a page can hold them."""
    flags = _window_flags(story, blocks)
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
            window.idle_seconds,
            window.control_seconds,
            window.minor_faults,
            window.major_faults,
            window.involuntary_switches,
            window.load,
            window.frequency_mhz,
            " ".join(flags.get((window.trial, window.round), ())),
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
        "steal_seconds,idle_seconds,control_seconds,minor_faults,major_faults,involuntary_switches,load,"
        "frequency_mhz,flagged_by"
    )
    return Download(
        file=f"windows-{story.cast.number(group)}.csv",
        text=f"Raw values of {count(len(lines), 'window')}, CSV",
        csv=csv_table(heads.split(","), lines),
    )


def _unrest_table(story: Story, blocks: Sequence[MeasuredBlock]) -> Table:
    """What blocks are flagged by, of every block."""
    cores = story.run.manifest.machine.cores
    rows = []
    for block in blocks:
        windows = [window for trial in block.trials for window in trial.windows]
        time = sum(window.wall_seconds for window in windows) * cores
        if time <= 0:
            continue
        rows.append(
            (
                Datum(f"{block.block}"),
                Datum(f"{len(windows):,}"),
                Datum(percent(sum(window.steal_seconds for window in windows) / time)),
                Datum(seconds(median(window.control_seconds for window in windows))),
                Datum(number(max(window.load for window in windows))),
            )
        )
    return Table(
        caption="How restless the machine was",
        columns=(
            Column("Block", number=True),
            Column("Windows", number=True),
            Column("Steal", number=True),
            Column("Control kernel", number=True),
            Column("Highest load", number=True),
        ),
        rows=tuple(rows),
        note="Steal: share of all CPUs' time that the hypervisor gave to others within windows. "
        "Control kernel: a fixed matrix product, timed before each window; the median. Load: the "
        "system's, of the last minute.",
    )


def _window_flags(
    story: Story, blocks: Sequence[MeasuredBlock]
) -> dict[tuple[int, int], tuple[WindowRule, ...]]:
    manifest = story.run.manifest
    return window_flags(blocks, manifest.machine.cores, manifest.cells)


def _window_rules(story: Story, blocks: Sequence[MeasuredBlock]) -> Iterator[Block]:
    """How many windows each rule flags; nothing where none are."""
    flags = _window_flags(story, blocks)
    if not flags:
        return
    counts = Counter(rule for rules in flags.values() for rule in rules)
    applied = rules_applied(blocks)
    total = sum(len(trial.windows) for block in blocks for trial in block.trials)
    yield Table(
        caption="Flagged windows",
        columns=(Column("Rule"), Column("Windows", number=True), Column("Share", number=True)),
        rows=tuple(
            (
                Datum(text),
                Datum(f"{counts[rule]:,}"),
                Datum(percent(counts[rule] / total), "doubt" if counts[rule] else "plain"),
            )
            for rule, text in WINDOW_RULES.items()
            if rule in applied
        ),
        note=f"Flagged: {count(len(flags), 'window')} of {total:,}. They count.",
    )


def _counted(story: Story, group: Group, blocks: Sequence[MeasuredBlock]) -> str:
    """Which blocks the verdicts rest on, and which not."""
    looks = [look.blocks for look in story.judgement.looks if look.blocks <= len(blocks)]
    read = max(looks, default=len(blocks))
    started = {
        event.block
        for event in story.run.events
        if isinstance(event, TrialStarted) and event.group == group.name and not event.long
    }
    contenders = max((len(block.trials) for block in blocks), default=0)
    lacking = sum(len(block.trials) < contenders for block in blocks)
    said = [
        f"{count(len(blocks), 'block')} finished; verdicts read the first {read}, up to the last "
        "planned look that was reached"
        if read < len(blocks)
        else f"{count(len(blocks), 'block')} finished, and all are read",
        f"{len(started) - len(blocks)} begun but not finished, which nothing reads"
        if len(started) > len(blocks)
        else "",
        f"{lacking} with a contender missing, which count for the others' pairs" if lacking else "",
    ]
    return "; ".join(part for part in said if part) + "."


def _flags(story: Story, group: Group) -> Iterator[Block]:
    flags = [flag for flag in story.judgement.block_flags if flag.group == group.name]
    if not flags:
        yield Paragraph(text="No block was flagged, and none was dropped.", tone="quiet")
        return
    kinds = {
        "steal": "CPU time that the hypervisor gave to others",
        "control": "fixed matrix product, off the run's median by",
        "foreign": "of a CPU that others took from the threads of a contender",
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
        note=f"Flagged: {count(len({flag.block for flag in flags}), 'block')}. Dropped: none.",
    )
