"""Accuracy: whole recipes, epoch by epoch, and what they cost in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from harness.analysis.curves import Curve, EpochPoint, accuracy_spreads, curves_by_cell
from harness.analysis.targets import TargetTime, target_times
from harness.report.formats import NOTHING, accuracy, number
from harness.report.page import (
    Block,
    Column,
    Datum,
    Details,
    Gallery,
    Paragraph,
    Section,
    Table,
)
from harness.report.remarks import final_accuracies
from harness.report.sections.learning import (
    Learned,
    figure_by_epoch,
    figure_by_seconds,
    printed_by,
    published_name,
)
from harness.report.sections.story import Story
from harness.report.spreads import loss, seconds_spread, spread
from harness.spec.manifest import Group

Value = Callable[[EpochPoint], float | None]


def accuracy_section(story: Story) -> Section | None:
    """Curves and tables of the long trials, with the published figures beside them.

    Nothing where none were planned.
    """
    found = curves_by_cell(story.run)
    if not found and not story.run.manifest.plan.long_trials:
        return None
    blocks: list[Block] = []
    for group in story.cast.groups:
        if not group.long_trials:
            continue
        learned = {
            cell: found[group.name, cell] for cell in group.cells if (group.name, cell) in found
        }
        blocks += [*story.heading(group), *_group_blocks(story, group, learned)]
    return Section(
        id="accuracy",
        title="Accuracy",
        lead="Long trials train the whole recipe. Seconds are those of training steps alone: "
        "start-up, staging and evaluation are not in them.",
        blocks=tuple(blocks),
    )


def _group_blocks(story: Story, group: Group, learned: Learned) -> Iterator[Block]:
    if not learned:
        yield Paragraph(text="No long trial was finished.", tone="quiet")
        return
    by_cell = {(group.name, cell): own for cell, own in learned.items()}
    in_words = "" if story.has_seeds else final_accuracies(group, by_cell, story.cast)
    if in_words:
        yield Paragraph(text=in_words)
        yield from _spread(story, group)
    yield Gallery(
        figures=(figure_by_epoch(story, group, learned), figure_by_seconds(story, group, learned))
    )
    printed = printed_by(learned)
    epoch_table = partial(_epoch_table, story, learned)
    test = epoch_table(
        "Test accuracy after each epoch",
        _test_accuracy,
        accuracy,
        printed.test_accuracy,
        name=published_name(printed),
    )
    training = (
        epoch_table("Training loss after each epoch, nats", _train_loss, loss, printed.train_loss),
        epoch_table(
            "Training accuracy after each epoch", _train_accuracy, accuracy, printed.train_accuracy
        ),
    )
    if story.has_seeds:
        yield Details(summary="Every seed, epoch by epoch", blocks=(test, *training))
    else:
        yield test
    yield from _target_table(story, group)
    yield _cost_table(story, learned)
    if not story.has_seeds:
        yield Details(summary="Training loss and training accuracy", blocks=training)
    if printed.source:
        yield Paragraph(text=f"Published: {printed.source}; {printed.hardware}.", tone="quiet")


def _test_accuracy(point: EpochPoint) -> float | None:
    return point.test_accuracy


def _train_accuracy(point: EpochPoint) -> float | None:
    return point.train_accuracy


def _train_loss(point: EpochPoint) -> float | None:
    return point.train_loss


def _name(story: Story, curve: Curve, learned: Learned) -> Datum:
    """The contender, with its seed where it trained with several."""
    name = story.marked_name(curve.cell)
    if len(learned[curve.cell]) > 1:
        name = f"{name}, seed {curve.seed}"
    style = story.cast.style(curve.cell)
    return Datum(name, colour=style.colour, variant=style.variant)


def _epoch_table(
    story: Story,
    learned: Learned,
    caption: str,
    value: Value,
    in_words: Callable[[float | None], str],
    published: Sequence[float],
    name: str = "published",
) -> Table:
    """One row a long trial, one column an epoch; the published figures last."""
    found = [curve for curves in learned.values() for curve in curves]
    epochs = sorted({point.epoch for curve in found for point in curve.epochs})
    rows = []
    for curve in found:
        by_epoch = {point.epoch: in_words(value(point)) for point in curve.epochs}
        own = (Datum(by_epoch.get(epoch, NOTHING)) for epoch in epochs)
        rows.append((_name(story, curve, learned), *own))
    if published:
        printed = dict(enumerate(map(in_words, published), start=1))
        quiet = (Datum(printed.get(epoch, NOTHING), "quiet") for epoch in epochs)
        rows.append((Datum(name, "quiet"), *quiet))
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


def _target_table(story: Story, group: Group) -> Iterator[Block]:
    """How soon each contender reaches the accuracy that the recipe names."""
    times = [each for each in target_times(story.run) if each.group == group.name]
    if not times:
        return
    yield Table(
        caption=f"Training until the test accuracy is {accuracy(times[0].target_accuracy)}",
        columns=(
            Column("Contender"),
            Column("Seeds that got there", number=True),
            Column("After epoch", number=True),
            Column("Seconds of training", number=True),
        ),
        rows=tuple(
            _target_row(story, cell, own)
            for cell in group.cells
            if (own := [each for each in times if each.cell == cell])
        ),
        note="The test set is evaluated at the end of each epoch. The clock runs in training steps "
        "alone; of several seeds the median of those that got there, from the lowest to the "
        "highest.",
    )


def _target_row(story: Story, cell: str, times: Sequence[TargetTime]) -> tuple[Datum, ...]:
    reached = [each for each in times if each.train_seconds is not None]
    tone = "plain" if len(reached) == len(times) else "doubt"
    return (
        story.contender(cell),
        Datum(f"{len(reached)} of {len(times)}", tone),  # type: ignore[arg-type]
        Datum(spread([each.epoch for each in reached], "{:.3g}".format)),
        Datum(seconds_spread(each.train_seconds for each in reached))
        if reached
        else Datum("not reached", "doubt"),
    )


def _cost_table(story: Story, learned: Learned) -> Table:
    return Table(
        caption="Seconds of the long trials",
        columns=(
            Column("Contender"),
            Column("Training", number=True),
            Column("Evaluation", number=True),
            Column("Examples/s", number=True),
        ),
        rows=tuple(
            (
                story.contender(cell),
                Datum(seconds_spread(curve.train_seconds for curve in curves)),
                Datum(seconds_spread(curve.phases.get("evaluation") for curve in curves)),
                Datum(spread((curve.examples_per_second for curve in curves), number)),
            )
            for cell, curves in learned.items()
        ),
        note="One long trial a seed, in turns with those of the other contenders: rates are "
        "indicative, and speed is judged from short trials alone.",
    )
