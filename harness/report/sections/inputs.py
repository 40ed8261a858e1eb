"""Input: each contender with its batches laid ready, and with its own loader."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from harness.analysis.inputs import InputCost, input_costs
from harness.report.figures import Bar, Bars
from harness.report.formats import NOTHING, count, number, percent, seconds
from harness.report.page import Block, Column, Datum, Figure, Heading, Section, Table
from harness.report.sections.story import Story


def inputs_section(story: Story) -> Section | None:
    """Rates with resident and with loader input side by side; nothing where one is missing."""
    found = input_costs(story.run)
    if not found:
        return None
    blocks: list[Block] = []
    for name, costs in groupby(found, key=lambda each: each.loader_group):
        own = list(costs)
        if len({each.loader_group for each in found}) > 1:
            blocks.append(Heading(text=_title(own[0])))
        blocks += [_figure(story, name, own), _table(story, own)]
    return Section(
        id="inputs",
        title="Input",
        lead="What does reading the data cost? Resident input lies on the device before the clock "
        "starts. A loader is the framework's own, as its tutorials use it; a pipeline is the same "
        "loader as an expert uses it. Each has an order of its own and is compared with the same "
        "contender's resident input, for speed alone.",
        blocks=tuple(blocks),
    )


def _title(cost: InputCost) -> str:
    return f"{cost.recipe}, {cost.input} with {count(cost.loader_workers, 'worker')}"


def _figure(story: Story, group: str, own: Sequence[InputCost]) -> Figure:
    bars = [
        Bar(
            label=f"{story.cast.name(each.resident_cell)}, {label}",
            style=story.cast.style(each.resident_cell),
            value=rate,
            text=text,
            faint=faint,
        )
        for each in own
        for label, rate, text, faint in (
            (
                "resident",
                each.resident_examples_per_second,
                number(each.resident_examples_per_second),
                False,
            ),
            (
                each.input,
                each.loader_examples_per_second,
                f"{number(each.loader_examples_per_second)} ({_share(each)})",
                True,
            ),
        )
    ]
    return Figure(
        name=f"inputs-{story.cast.number(story.cast.group(group))}",
        caption=f"Examples per second with resident input and with a {own[0].input}, "
        f"{own[0].recipe}; longer is faster, and in brackets the share of the {own[0].input}'s "
        "time that its input costs.",
        chart=Bars(unit="examples/s", bars=tuple(bars)),
    )


def _share(cost: InputCost) -> str:
    return percent(cost.share_of_time) if cost.share_of_time > 0 else "no cost"


def _table(story: Story, own: Sequence[InputCost]) -> Table:
    return Table(
        caption=f"Examples per second, {_title(own[0])}",
        columns=(
            Column("Contender"),
            Column("Resident", number=True),
            Column(own[0].input.capitalize(), number=True),
            Column("Input costs", number=True),
            Column("95 % interval", number=True),
            Column("Blocks", number=True),
            Column("Staging", number=True),
            Column("Training", number=True),
        ),
        rows=tuple(
            (
                story.contender(each.resident_cell),
                Datum(number(each.resident_examples_per_second)),
                Datum(number(each.loader_examples_per_second)),
                Datum(percent(each.share_of_time), strong=True),
                Datum(_interval(each)),
                Datum(f"{each.resident_blocks} and {each.loader_blocks}"),
                Datum(seconds(each.resident_stage_seconds)),
                Datum(seconds(each.resident_train_seconds)),
            )
            for each in own
        ),
        note=f"Input costs: 1 − {own[0].input} rate ÷ resident rate, the share of the "
        f"{own[0].input}'s time that its input takes from training; a negative share means that "
        f"the {own[0].input} was the faster one. "
        "The interval is Welch's, over blocks, since the two ran in blocks of their own. Staging "
        "is what a window of resident input takes outside of the clock: gathering its batches and "
        "putting them on the device; training, what it takes inside.",
    )


def _interval(cost: InputCost) -> str:
    if cost.interval is None:
        return NOTHING
    return f"[{percent(cost.interval.low)}, {percent(cost.interval.high)}]"
