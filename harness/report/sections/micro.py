"""Micro-benchmarks: single pieces of a step, the machine's roofs, and what comes before a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.micro import STEADY_SHARE, Measure, measures, step_times, unsteady
from harness.report.figures import Bar, Bars
from harness.report.formats import count, percent
from harness.report.micro_words import Side, brief, piece_tables, sides_of
from harness.report.page import Block, Figure, Heading, Items, Paragraph, Section
from harness.report.sections.micro_rates import rate_blocks
from harness.report.sections.micro_start import start_blocks
from harness.report.sections.micro_step import step_blocks
from harness.report.sections.story import Story
from harness.spec.micro import Micro

UNSTEADY_SHARE = 0.1
"""Of all benchmarks: where more are unsteady, the reader is told."""


def micro_section(story: Story) -> Section | None:
    """What was measured piece by piece; nothing where nothing was."""
    micro = story.micro
    if micro is None:
        return None
    sides = sides_of(micro, story.cast)
    found = measures(micro)
    blocks: list[Block] = list(_remarks(micro))
    if sides:
        blocks += step_blocks(sides, step_times(found))
        blocks += [Heading(text="Pieces"), *_latency(sides, found), *piece_tables(micro, sides)]
        blocks += rate_blocks(micro, sides, found)
        blocks += start_blocks(micro, sides)
    conditions = micro.manifest.conditions
    return Section(
        id="micro",
        title="Micro-benchmarks",
        lead=f"Single pieces of {conditions.recipe} on {conditions.device} with "
        f"{count(conditions.threads, 'thread')}: medians of pytest-benchmark, over rounds that end "
        "when the work is done. Frameworks were measured one after the other, not interleaved: "
        "these times say where a step's time goes, and verdicts alone say who is faster.",
        blocks=tuple(blocks),
    )


def _remarks(micro: Micro) -> Iterator[Block]:
    """What is missing, and why."""
    manifest = micro.manifest
    if manifest.conditions.quick:
        yield Paragraph(
            text="Measured with --quick, one round each: whether everything runs, and no figure "
            "worth reading.",
            tone="doubt",
        )
    found = measures(micro)
    restless = len(unsteady(found))
    if restless > UNSTEADY_SHARE * len(found):
        yield Paragraph(
            text=f"In {restless:,} of {count(len(found), 'benchmark')} the middle half of the "
            f"rounds spreads over more than {percent(STEADY_SHARE)} of the median: other work "
            "disturbed this machine, and parts and whole need not fit together.",
            tone="doubt",
        )
    failures = tuple(f"{each.what}: {each.phase}: {each.reason}" for each in manifest.failures)
    if failures:
        yield Items(items=failures, tone="bad")
    failed = {each.framework for each in manifest.failures}
    unreached = tuple(
        f"{one.title}: interrupted before it was measured"
        for one in manifest.frameworks
        if one.framework not in {*micro.files, *failed}
    )
    apart = tuple(
        f"{one.title} ({mode}): {reason}"
        for one in manifest.frameworks
        if one.framework in micro.files and (start := micro.files[one.framework].start)
        for mode, reason in start.without_pieces.items()
    )
    left_out = (*manifest.skips, *unreached, *apart)
    if manifest.select:
        left_out += (f"only benchmarks that fit -k {manifest.select!r} were measured",)
    if left_out:
        yield Items(items=left_out, tone="quiet")


def _latency(sides: Sequence[Side], found: Sequence[Measure]) -> Iterator[Block]:
    bars = [
        Bar(label=side.name, style=side.style, value=each.seconds * 1e6, text=brief(each.seconds))
        for side in sides
        for each in found
        if (each.piece, each.framework, each.mode)
        == ("latency", side.framework.framework, side.mode)
    ]
    if bars:
        yield Figure(
            name="micro-latency",
            caption="One image in, its logits out: what a prediction costs that is made for one "
            "image alone, from the host to the host. Shorter is faster.",
            chart=Bars(unit="microseconds", bars=tuple(bars)),
        )
