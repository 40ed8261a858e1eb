"""Accuracy: whole recipes, epoch by epoch, and what they cost in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from harness.analysis.curves import (
    Curve,
    EpochPoint,
    accuracy_spreads,
    curves,
    train_seconds_to_accuracy,
)
from harness.report.figures import Curves, Line, Panel
from harness.report.formats import NOTHING, accuracy, number, seconds
from harness.report.page import (
    Block,
    Column,
    Datum,
    Details,
    Figure,
    Gallery,
    Paragraph,
    Section,
    Table,
)
from harness.report.sections.story import Story
from harness.spec.events import Group
from harness.spec.recipes import Published

Value = Callable[[EpochPoint], float | None]


def accuracy_section(story: Story) -> Section:
    """Curves and tables of the long trials, with the published figures beside them."""
    found = curves(story.run)
    blocks: list[Block] = []
    for group in story.cast.groups:
        own = [curve for curve in found if curve.group == group.name and curve.epochs]
        blocks += [*story.heading(group), *_group_blocks(story, group, own)]
    return Section(
        id="accuracy",
        title="Accuracy",
        lead="Long trials train the whole recipe. Seconds are those of training steps alone: "
        "start-up, staging and evaluation are not in them.",
        blocks=tuple(blocks),
    )


def _group_blocks(story: Story, group: Group, found: Sequence[Curve]) -> Iterator[Block]:
    if not found:
        planned = story.run.manifest.plan.long_trials
        text = "No long trial was finished." if planned else "This run has no long trials."
        yield Paragraph(text=text, tone="quiet")
        return
    yield Gallery(figures=(_by_epoch(story, group, found), _by_seconds(story, group, found)))
    published = found[0].published
    printed = published.test_accuracy if published else ()
    yield _epoch_table(
        story, found, "Test accuracy after each epoch", _test_accuracy, accuracy, printed
    )
    yield from _spread(story, group)
    yield _cost_table(story, found)
    losses = published.train_loss if published else ()
    trained = published.train_accuracy if published else ()
    yield Details(
        summary="Training loss and training accuracy",
        blocks=(
            _epoch_table(
                story, found, "Training loss after each epoch, nats", _train_loss, _loss, losses
            ),
            _epoch_table(
                story,
                found,
                "Training accuracy after each epoch",
                _train_accuracy,
                accuracy,
                trained,
            ),
        ),
    )
    if published:
        yield Paragraph(text=f"Published: {published.source}; {published.hardware}.", tone="quiet")


def _test_accuracy(point: EpochPoint) -> float | None:
    return point.test_accuracy


def _train_accuracy(point: EpochPoint) -> float | None:
    return point.train_accuracy


def _train_loss(point: EpochPoint) -> float | None:
    return point.train_loss


def _loss(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def _name(story: Story, curve: Curve, found: Sequence[Curve]) -> str:
    """The contender, with its seed and block where it trained more than once."""
    repeats = [each for each in found if each.cell == curve.cell]
    name = story.marked_name(curve.cell)
    return f"{name}, seed {curve.seed}, block {curve.block}" if len(repeats) > 1 else name


def _lines(
    story: Story,
    found: Sequence[Curve],
    x: Callable[[EpochPoint], float],
    y: Value,
    published: Sequence[float] = (),
) -> tuple[Line, ...]:
    own = tuple(
        Line(
            label=_name(story, curve, found),
            style=story.cast.style(curve.cell),
            x=tuple(x(point) for point in curve.epochs),
            y=tuple(_drawable(y(point)) for point in curve.epochs),
        )
        for curve in found
    )
    if not published:
        return own
    epochs = tuple(float(epoch) for epoch in range(1, len(published) + 1))
    return (*own, Line(label="published", style=None, x=epochs, y=tuple(published)))


def _drawable(value: float | None) -> float:
    return math.nan if value is None else value


def _by_epoch(story: Story, group: Group, found: Sequence[Curve]) -> Figure:
    published = found[0].published or Published(source="", hardware="", test_accuracy=())

    def epoch(point: EpochPoint) -> float:
        return float(point.epoch)

    return Figure(
        name=f"epochs-{story.cast.number(group)}",
        caption=f"Test accuracy and training loss after each epoch, {story.cast.label(group)}. "
        "Curves that coincide are drawn one inside the other.",
        chart=Curves(
            unit="epochs trained",
            panels=(
                Panel(
                    unit="test accuracy",
                    lines=_lines(story, found, epoch, _test_accuracy, published.test_accuracy),
                ),
                Panel(
                    unit="training loss, nats",
                    lines=_lines(story, found, epoch, _train_loss, published.train_loss),
                ),
            ),
        ),
    )


def _by_seconds(story: Story, group: Group, found: Sequence[Curve]) -> Figure:
    def passed(point: EpochPoint) -> float:
        return point.train_seconds

    return Figure(
        name=f"seconds-{story.cast.number(group)}",
        caption=f"The same against the training clock, {story.cast.label(group)}.",
        chart=Curves(
            unit="seconds of training",
            panels=(
                Panel(unit="test accuracy", lines=_lines(story, found, passed, _test_accuracy)),
                Panel(unit="training loss, nats", lines=_lines(story, found, passed, _train_loss)),
            ),
        ),
    )


def _epoch_table(
    story: Story,
    found: Sequence[Curve],
    caption: str,
    value: Value,
    in_words: Callable[[float | None], str],
    published: Sequence[float],
) -> Table:
    """One row a long trial, one column an epoch; the published figures last."""
    epochs = sorted({point.epoch for curve in found for point in curve.epochs})
    rows = []
    for curve in found:
        by_epoch = {point.epoch: in_words(value(point)) for point in curve.epochs}
        name = Datum(_name(story, curve, found), colour=story.cast.style(curve.cell).colour)
        rows.append((name, *(Datum(by_epoch.get(epoch, NOTHING)) for epoch in epochs)))
    if published:
        printed = dict(enumerate(map(in_words, published), start=1))
        quiet = (Datum(printed.get(epoch, NOTHING), "quiet") for epoch in epochs)
        rows.append((Datum("published", "quiet"), *quiet))
    return Table(
        caption=caption,
        columns=(Column("Contender"), *(Column(f"Epoch {each}", number=True) for each in epochs)),
        rows=tuple(rows),
    )


def _spread(story: Story, group: Group) -> Iterator[Block]:
    """How far comparable contenders lie apart at the end, in one sentence a block."""
    last = {each.block: each for each in accuracy_spreads(story.run) if each.group == group.name}
    for each in last.values():
        if each.largest_difference == 0:
            text = "All comparable contenders have the same test accuracy"
        else:
            text = (
                f"Largest difference of test accuracy: {each.largest_difference * 100:.2f} points, "
                f"{story.cast.name(each.highest)} above {story.cast.name(each.lowest)},"
            )
        block = f" in block {each.block}" if len(last) > 1 else ""
        yield Paragraph(text=f"{text} after epoch {each.epoch}{block}.")


def _cost_table(story: Story, found: Sequence[Curve]) -> Table:
    published = found[0].published
    target = published.test_accuracy[-1] if published and published.test_accuracy else None
    columns = [
        Column("Contender"),
        Column("Training", number=True),
        Column("Evaluation", number=True),
        Column("Examples/s", number=True),
    ]
    if target is not None:
        columns.append(Column(f"Training to {accuracy(target)}", number=True))
    rows = []
    for curve in found:
        row = [
            Datum(_name(story, curve, found), colour=story.cast.style(curve.cell).colour),
            Datum(seconds(curve.train_seconds)),
            Datum(seconds(curve.phases.get("evaluation"))),
            Datum(number(curve.examples_per_second)),
        ]
        if target is not None:
            reached = train_seconds_to_accuracy(curve, target)
            row.append(
                Datum("not reached", "quiet") if reached is None else Datum(seconds(reached))
            )
        rows.append(tuple(row))
    return Table(
        caption="Seconds of the long trials",
        columns=tuple(columns),
        rows=tuple(rows),
        note="There is one long trial of each contender: its rate is indicative, and speed is "
        "judged from short trials alone.",
    )
