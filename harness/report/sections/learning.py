"""Figures of long trials: how accuracy and loss went, over seeds where there are several."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from harness.analysis.curves import Curve, TrainingPoint
from harness.report.figures import Curves, Line, Panel
from harness.report.page import Figure
from harness.report.sections.story import Story
from harness.spec.manifest import Group
from harness.spec.recipes import Published

Learned = Mapping[str, Sequence[Curve]]
"""Cell id → its curves, one a seed."""
MOST_SHOWN = 12
"""Seeds up to which each has a line of its own; of more, a band says from where to where."""
Points = Sequence[tuple[float, float | None]]
"""Places and values of one curve."""


def figure_by_epoch(story: Story, group: Group, learned: Learned) -> Figure:
    """Accuracy and loss against epochs trained, with the published curves."""
    printed = printed_by(learned)
    return Figure(
        name=f"epochs-{story.cast.number(group)}",
        caption=f"What {story.cast.label(group)} learns. Test accuracy is that at the end of each "
        "epoch; training accuracy and loss are means over a window (published: over an epoch), "
        f"drawn at its middle.{_caption(learned)}",
        chart=Curves(
            unit="epochs trained",
            panels=(
                Panel(
                    unit="test accuracy",
                    lines=(
                        *lines(story, learned, by_epochs),
                        *published_line(
                            printed.test_accuracy, middle=False, label=published_name(printed)
                        ),
                    ),
                ),
                Panel(
                    unit="training accuracy",
                    lines=(
                        *lines(story, learned, training_accuracy),
                        *published_line(printed.train_accuracy, middle=True),
                    ),
                ),
                Panel(
                    unit="training loss, nats",
                    lines=(
                        *lines(story, learned, training_loss),
                        *published_line(printed.train_loss, middle=True),
                    ),
                ),
            ),
        ),
    )


def figure_by_seconds(story: Story, group: Group, learned: Learned) -> Figure:
    """The same against the training clock, at the ends of windows."""
    return Figure(
        name=f"seconds-{story.cast.number(group)}",
        caption=f"The same against the training clock, {story.cast.label(group)}."
        f"{_caption(learned)}",
        chart=Curves(
            unit="seconds of training",
            panels=(
                Panel(unit="test accuracy", lines=lines(story, learned, by_seconds)),
                Panel(
                    unit="training accuracy",
                    lines=lines(story, learned, training_accuracy_by_seconds),
                ),
                Panel(
                    unit="training loss, nats",
                    lines=lines(story, learned, training_loss_by_seconds),
                ),
            ),
        ),
    )


def figure_of_seeds(story: Story, group: Group, learned: Learned) -> Figure:
    """Training accuracy, one thin line a seed, a panel for each contender."""
    printed = printed_by(learned)
    return Figure(
        name=f"seeds-{story.cast.number(group)}",
        caption=f"Training accuracy of each seed, window by window, {story.cast.label(group)}: one "
        "thin line a seed, one panel a contender.",
        chart=Curves(
            unit="epochs trained",
            panels=tuple(
                Panel(
                    unit=story.marked_name(cell),
                    lines=(
                        *(
                            Line(
                                label=f"{story.cast.name(cell)}, seed {curve.seed}",
                                style=story.cast.style(cell),
                                x=tuple(x for x, _ in training_accuracy(curve)),
                                y=tuple(_drawable(y) for _, y in training_accuracy(curve)),
                                one_of_many=True,
                            )
                            for curve in curves
                        ),
                        *published_line(printed.train_accuracy, middle=True),
                    ),
                )
                for cell, curves in learned.items()
            ),
        ),
    )


def lines(story: Story, learned: Learned, points: Callable[[Curve], Points]) -> tuple[Line, ...]:
    """One line a contender: its curve, or the median over seeds in a band from least to most."""
    return tuple(
        _over_seeds(story, cell, [points(curve) for curve in curves])
        for cell, curves in learned.items()
    )


def published_line(
    values: Sequence[float], *, middle: bool, label: str = "published"
) -> Iterator[Line]:
    """The published curve, where there is one: at the ends of epochs, or in their ``middle``."""
    if values:
        places = tuple(epoch - 0.5 * middle for epoch in range(1, len(values) + 1))
        yield Line(label=label, style=None, x=places, y=tuple(values))


def printed_by(learned: Learned) -> Published:
    """What the recipe's source prints; nothing in every field where it prints nothing.

    Where it counts its last batch as whole, its test accuracies are put right: hits ÷ images, as
    ours are.
    """
    found = [curve for curves in learned.values() for curve in curves]
    printed = next((curve.published for curve in found if curve.published), None)
    if printed is None:
        return Published(source="", hardware="", test_accuracy=())
    size, images = printed.whole_batches_of, found[0].epochs[-1].test_examples
    if not size or images <= 0:
        return printed
    factor = math.ceil(images / size) * size / images
    right = tuple(each * factor for each in printed.test_accuracy)
    return msgspec.structs.replace(printed, test_accuracy=right)


def published_name(printed: Published) -> str:
    """What its curve and its row are called."""
    return "published, hits ÷ images" if printed.whole_batches_of else "published"


def by_epochs(curve: Curve) -> Points:
    """Test accuracy at the ends of epochs."""
    return [(point.epoch, point.test_accuracy) for point in curve.epochs]


def by_seconds(curve: Curve) -> Points:
    """Test accuracy against seconds of training."""
    return [(point.train_seconds, point.test_accuracy) for point in curve.epochs]


def training_accuracy(curve: Curve) -> Points:
    """Training accuracy of each window, at its middle, in epochs."""
    return [(middle, point.accuracy) for middle, point in _middles(curve, "epoch")]


def training_loss(curve: Curve) -> Points:
    """Training loss of each window, at its middle, in epochs."""
    return [(middle, point.loss) for middle, point in _middles(curve, "epoch")]


def training_accuracy_by_seconds(curve: Curve) -> Points:
    """Training accuracy of each window, at its middle, in seconds of training."""
    return [(middle, point.accuracy) for middle, point in _middles(curve, "train_seconds")]


def training_loss_by_seconds(curve: Curve) -> Points:
    """Training loss of each window, at its middle, in seconds of training."""
    return [(middle, point.loss) for middle, point in _middles(curve, "train_seconds")]


def _middles(curve: Curve, clock: str) -> Iterator[tuple[float, TrainingPoint]]:
    """Each window with the middle of its time on a clock that stands at its end."""
    ends = [0.0, *(getattr(point, clock) for point in curve.training)]
    for (start, end), point in zip(pairwise(ends), curve.training, strict=True):
        yield (start + end) / 2, point


def _over_seeds(story: Story, cell: str, of_seeds: Sequence[Points]) -> Line:
    # Trials of one cell are of one length; where one is shorter, what all have is drawn.
    columns = list(zip(*of_seeds, strict=False))
    known = [[y for _, y in column if y is not None] for column in columns]
    several = len(of_seeds) > MOST_SHOWN
    members = of_seeds if 1 < len(of_seeds) <= MOST_SHOWN else ()
    return Line(
        label=story.marked_name(cell),
        style=story.cast.style(cell),
        x=tuple(median(x for x, _ in column) for column in columns),
        y=tuple(median(values) if values else math.nan for values in known),
        low=tuple(min(values, default=math.nan) for values in known) if several else (),
        high=tuple(max(values, default=math.nan) for values in known) if several else (),
        members=tuple(
            (tuple(x for x, _ in each), tuple(_drawable(y) for _, y in each)) for each in members
        ),
    )


def _caption(learned: Learned) -> str:
    seeds = max(map(len, learned.values()))
    if seeds > MOST_SHOWN:
        return " Lines are medians over seeds, bands go from the lowest seed to the highest."
    if seeds > 1:
        return f" Faint: each of {seeds} seeds; bold: the median."
    return " Curves that coincide are drawn one inside the other."


def _drawable(value: float | None) -> float:
    return math.nan if value is None else value
