"""Speed: examples/s of each contender, and the ratio of each pair."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.analysis.judgement import GroupJudgement, Rate, Verdict
from harness.analysis.protocol import EQUIVALENT_WITHIN
from harness.report.figures import Bar, Bars, Forest, Ratio
from harness.report.formats import (
    NOTHING,
    bounds,
    count,
    level,
    number,
    p_value,
    range_of_counts,
    times,
    wide_bounds,
)
from harness.report.page import (
    Block,
    Column,
    Datum,
    Figure,
    Gallery,
    Paragraph,
    Section,
    Table,
    Tone,
)
from harness.report.remarks import noise_floor_in_words, ratio_in_words
from harness.report.sections.story import Story
from harness.report.sentences import TONES, shown_interval
from harness.spec.manifest import Group


def speed_section(story: Story) -> Section | None:
    """Rates with intervals, then ratios with the band of equivalence and the noise floor.

    Nothing where no speed was to be measured.
    """
    if not story.is_timed:
        return None
    blocks: list[Block] = []
    for judged in story.judgement.groups:
        group = story.cast.group(judged.group)
        blocks += [*story.heading(group), *_group_blocks(story, group, judged)]
    return Section(
        id="speed",
        title="Speed",
        lead="Timed windows of training steps only: evaluation and start-up are outside, and with "
        "resident input the batches lie on the device before the clock starts. "
        "Contenders took turns, window by window, so the ratio of a pair is known better than "
        "either rate, and the intervals of two rates may overlap though their ratio is clear. All "
        "pairs of a run are one family: p is two-sided and adjusted by Holm's method within it. "
        "The .05 for a wrong equivalent are those of each pair, not of the run.",
        blocks=tuple(blocks),
    )


def _group_blocks(story: Story, group: Group, judged: GroupJudgement) -> Iterator[Block]:
    rates = [rate for rate in story.judgement.rates if rate.group == group.name]
    verdicts = [each for each in story.judgement.verdicts if each.group == group.name]
    if not rates:
        yield Paragraph(text="No block of short trials was finished here.", tone="doubt")
        return
    shown = [each for each in verdicts if each.times_faster is not None]
    figures = [_rates_figure(story, group, rates)]
    if shown:
        figures.append(_ratios_figure(story, group, judged, shown))
    yield Gallery(figures=tuple(figures))
    yield _rates_table(story, rates)
    if verdicts:
        yield _pairs_table(story, verdicts, judged)


def _rates_figure(story: Story, group: Group, rates: list[Rate]) -> Figure:
    bars = Bars(
        unit="examples/s",
        bars=tuple(
            Bar(
                label=story.marked_name(rate.cell, twin=rate.twin),
                style=story.cast.style(rate.cell),
                value=rate.examples_per_second,
                low=rate.interval.low if rate.interval else None,
                high=rate.interval.high if rate.interval else None,
                text=number(rate.examples_per_second),
                faint=rate.twin,
            )
            for rate in rates
        ),
    )
    over = range_of_counts((rate.blocks for rate in rates), "block")
    several = any(rate.interval for rate in rates)
    return Figure(
        name=f"rates-{story.cast.number(group)}",
        caption=f"Examples per second while training {story.cast.label(group)}; longer is faster. "
        f"{'95 % intervals over' if several else 'Over'} {over}.",
        chart=bars,
    )


def _ratios_figure(
    story: Story, group: Group, judged: GroupJudgement, verdicts: list[Verdict]
) -> Figure:
    against = [each for each in verdicts if each.against == judged.reference]
    chosen = against or verdicts
    floor = judged.noise_floor.interval if judged.noise_floor else None
    forest = Forest(
        unit=f"times as fast as {story.cast.name(judged.reference)}"
        if against
        else "times as fast as the other",
        band=(1 / EQUIVALENT_WITHIN, EQUIVALENT_WITHIN),
        floor=(floor.low, floor.high) if floor else None,
        ratios=tuple(
            Ratio(
                label=story.cast.name(each.cell)
                if against
                else f"{story.cast.name(each.cell)} : {story.cast.name(each.against)}",
                style=story.cast.style(each.cell),
                value=each.times_faster or math.nan,
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                text=f"{ratio_in_words(each.times_faster or math.nan, interval)} {_word(each)}",
            )
            for each in chosen
            for interval in [shown_interval(each)]
        ),
    )
    floor_caption = "; dashed: the A/A interval of the reference" if floor else ""
    over = range_of_counts((each.blocks for each in chosen), "block")
    levels = dict.fromkeys(level(each) for each in map(shown_interval, chosen) if each)
    intervals = f"{' and '.join(levels)} intervals over" if levels else "Over"
    return Figure(
        name=f"ratios-{story.cast.number(group)}",
        caption=f"Ratio of rates, {story.cast.label(group)}; right of 1 is faster. Shaded: within "
        f"±3 %{floor_caption}. {intervals} {over}.",
        chart=forest,
    )


def _rates_table(story: Story, rates: list[Rate]) -> Table:
    return Table(
        caption="Rates",
        columns=(
            Column("Contender"),
            Column("Examples/s", number=True),
            Column("95 % interval", number=True),
            Column("Blocks", number=True),
            Column("By total time", number=True),
        ),
        rows=tuple(
            (
                story.contender(rate.cell, twin=rate.twin, marked=True),
                Datum(number(rate.examples_per_second), strong=True),
                Datum(wide_bounds(rate.interval) if rate.interval else NOTHING),
                Datum(f"{rate.blocks:,}"),
                Datum(number(rate.examples_per_second_by_total_time)),
            )
            for rate in rates
        ),
        note="Examples/s: geometric mean over blocks of each block's median window. By total time: "
        "all examples ÷ all seconds; a contender that stalls now and then is lower there. A second "
        "copy is the reference contender once more, for the noise floor (A/A).",
    )


def _pairs_table(story: Story, verdicts: list[Verdict], judged: GroupJudgement) -> Table:
    floor = judged.noise_floor
    over = f" over {count(floor.blocks, 'block')}" if floor else ""
    return Table(
        caption="Pairs",
        columns=(
            Column("Contender"),
            Column("Against"),
            Column("Times as fast", number=True),
            Column("Interval", number=True),
            Column("Level", number=True),
            Column("Blocks", number=True),
            Column("p (Holm)", number=True),
            Column("By total time", number=True),
            Column("Verdict"),
        ),
        rows=tuple(_pair_row(story, each) for each in verdicts),
        note=f"Noise floor (A/A): {noise_floor_in_words(judged.noise_floor)}{over}.",
    )


def _pair_row(story: Story, each: Verdict) -> tuple[Datum, ...]:
    interval = shown_interval(each)
    total = each.times_faster_by_total_time
    return (
        story.contender(each.cell),
        story.contender(each.against),
        Datum(times(each.times_faster) if each.times_faster else NOTHING, strong=True),
        Datum(bounds(interval) if interval else NOTHING),
        Datum(level(interval) if interval else NOTHING),
        Datum(f"{each.blocks:,}"),
        Datum(p_value(each.p_adjusted).removeprefix("p = ").removeprefix("p ") or NOTHING),
        Datum(times(total) if total else NOTHING),
        Datum(_word(each), _tone(each)),
    )


def _word(verdict: Verdict) -> str:
    """The verdict on ``verdict.cell``, or why there is none."""
    return verdict.verdict or verdict.status.replace("_", " ")


def _tone(verdict: Verdict) -> Tone:
    return "plain" if verdict.verdict == "slower" else TONES[_word(verdict)]
