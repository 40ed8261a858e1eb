"""Sweep: rates over batch sizes and numbers of threads, and where the order changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.analysis.sweeps import Sweep, SweepPoint, sweeps
from harness.report.formats import NOTHING, count, number, percent
from harness.report.page import (
    Block,
    Column,
    Datum,
    Gallery,
    Heading,
    Items,
    Paragraph,
    Section,
    Table,
)
from harness.report.sections.story import Story
from harness.report.sections.sweep_charts import sweep_figures
from harness.report.sweep_sentences import contender_name, order_in_words, threads_in_words


def sweep_section(story: Story) -> Section | None:
    """Charts over each axis of each sweep, in words where the order changes, and all numbers.

    Nothing where everything had one batch size and one number of threads.
    """
    found = sweeps(story.run)
    if not found:
        return None
    blocks: list[Block] = []
    for index, sweep in enumerate(found, start=1):
        if len(found) > 1:
            blocks.append(Heading(text=_title(sweep)))
        blocks += _blocks(story, sweep, index)
    return Section(
        id="sweep",
        title="Sweep",
        lead="The same contenders at each combination of batch size and threads. Each combination "
        "was compared by itself, and has its verdicts above; blocks of all of them took turns. A "
        "recipe with another batch is another recipe: its learning rate is not scaled, so its "
        "accuracy is another too.",
        blocks=tuple(blocks),
    )


def _title(sweep: Sweep) -> str:
    return f"{sweep.recipe} on {sweep.device}, {sweep.input} input"


def _blocks(story: Story, sweep: Sweep, index: int) -> Iterator[Block]:
    sentences = order_in_words(sweep, story.cast)
    if sentences:
        yield Paragraph(text=sentences[0])
    if sentences[1:]:
        yield Items(items=sentences[1:])
    figures = tuple(sweep_figures(story, sweep, index))
    if figures:
        yield Gallery(figures=figures)
    yield _rates_table(story, sweep)
    if len(sweep.threads) > 1:
        yield _efficiency_table(story, sweep)
        if any(not group.long_trials for group in story.cast.groups) and _is_trained(story):
            yield Paragraph(
                text="Threads change no more than how sums are rounded, so each recipe was trained "
                "whole once, with the most threads; see Accuracy.",
                tone="quiet",
            )


def _is_trained(story: Story) -> bool:
    return story.run.manifest.plan.long_trials


def _rates_table(story: Story, sweep: Sweep) -> Table:
    orders = {each.group: _order(story, each.tiers) for each in story.judgement.groups}

    def rate(point: SweepPoint | None) -> Datum:
        return Datum(number(point.examples_per_second) if point else NOTHING)

    def order(points: Sequence[SweepPoint | None]) -> Datum:
        group = next((point.group for point in points if point), "")
        return Datum(orders.get(group) or "open")

    return _table(
        story,
        sweep,
        f"Examples per second, {sweep.recipe}",
        rate,
        note="Order: fastest first; those joined by = are not told apart. Open: not every pair is "
        "settled there, see Verdicts. —: not measured, or not comparable.",
        last=("Order", order),
    )


def _efficiency_table(story: Story, sweep: Sweep) -> Table:
    fewest = sweep.threads[0]

    def efficiency(point: SweepPoint | None) -> Datum:
        if point is None or point.efficiency is None:
            return Datum(NOTHING)
        known = point.efficiency_interval
        interval = f" [{percent(known.low)}, {percent(known.high)}]" if known else ""
        return Datum(f"{percent(point.efficiency)}{interval}")

    return _table(
        story,
        sweep,
        f"Efficiency against {threads_in_words([fewest])}, {sweep.recipe}",
        efficiency,
        note=f"Rate ÷ ({'threads' if fewest == 1 else f'threads ÷ {fewest}'} × the rate with "
        f"{count(fewest, 'thread')}). The two ran "
        "in blocks of their own, so the 95 % intervals are Welch's, over blocks.",
    )


def _table(
    story: Story,
    sweep: Sweep,
    caption: str,
    datum: Callable[[SweepPoint | None], Datum],
    *,
    note: str,
    last: tuple[str, Callable[[Sequence[SweepPoint | None]], Datum]] | None = None,
) -> Table:
    """One row a combination, one column a contender."""
    points = {
        (line.contender, point.batch_size, point.threads): point
        for line in sweep.lines
        for point in line.points
    }
    rows = []
    for batch_size in sweep.batch_sizes:
        for threads in sweep.threads:
            own = [points.get((line.contender, batch_size, threads)) for line in sweep.lines]
            rows.append(
                (
                    Datum(f"{batch_size:,}", strong=True),
                    Datum(f"{threads:,}", strong=True),
                    *map(datum, own),
                    *([last[1](own)] if last else []),
                )
            )
    return Table(
        caption=caption,
        columns=(
            Column("Batch", number=True),
            Column("Threads", number=True),
            *(
                Column(contender_name(story.cast, sweep, line.contender), number=True)
                for line in sweep.lines
            ),
            *([Column(last[0])] if last else []),
        ),
        rows=tuple(rows),
        note=note,
    )


def _order(story: Story, tiers: Sequence[Sequence[str]]) -> str:
    return " > ".join(" = ".join(map(story.cast.name, tier)) for tier in tiers)
