"""What long trials over several seeds say about a recipe's published figures.

A source prints one run. Whether it could have been one of ours is asked in two ways: at every epoch
whether its figure lies within the range of our seeds, and at the last epoch, where the seeds have
settled around one value, whether it lies within the 95 % prediction interval for one new run
(Whitmore, 1986): mean ± t · s · √(1 + 1/n), t of n − 1 degrees of freedom. At early epochs seeds
are on a plateau or off it, two clusters with nothing between, and no normal theory applies; for the
same reason a seed that is still guessing at the last epoch is not in that interval. How many there
are is told beside it. Below 3 seeds nothing is judged.

A printed figure is known to its last digit only: it lies inside where a value that rounds to it
does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median

import msgspec
import numpy as np

from harness.analysis.curves import Curve, EpochPoint, curves_by_cell
from harness.analysis.estimate import LEAST_SD_OF_ACCURACY, Interval, mean_of, one_more
from harness.analysis.observations import Observations, once
from harness.spec.recipes import Published, Recipe

PREDICTION_CONFIDENCE = 0.95
LEAST_SEEDS = 3
TAKEN_OFF = 0.2
"""Accuracy that guessing does not reach: twice the chance among ten classes."""


class OverSeeds(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity at the end of one epoch."""

    by_seed: tuple[float | None, ...]
    """In the order of ``Reproduction.seeds``; nothing where it is not a finite number."""
    seeds: int
    """Those that have a value; the statistics are over them."""
    median: float | None
    low: float | None
    """The smallest."""
    high: float | None
    """The largest."""
    published: float | None
    inside_range: bool | None
    """Whether the published value lies from ``low`` to ``high``; nothing below 3 seeds, where
    nothing is published, or where this run changed the recipe."""
    prediction_seeds: int
    """Those that ``prediction_interval`` rests on: not guessing any more, at the last epoch."""
    prediction_interval: Interval | None
    """For one new run that learns at all, 95 %; at the last epoch, from 3 such seeds on."""
    inside_prediction_interval: bool | None
    """As ``inside_range``."""


class ReproducedEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one epoch, over seeds."""

    epoch: int
    test_accuracy: OverSeeds
    """Hits ÷ images, a fraction."""
    test_accuracy_of_whole_batches: OverSeeds | None
    """Hits ÷ (⌈images ÷ size⌉ · size), as a source computes that counts its last batch as whole;
    then this is what its figures are compared with, and ``test_accuracy`` has none beside it."""
    train_accuracy: OverSeeds
    """Over the epoch, each example at its own step."""
    train_loss: OverSeeds
    """Likewise, in nats."""

    @property
    def compared_test_accuracy(self) -> OverSeeds:
        """By the source's arithmetic."""
        return self.test_accuracy_of_whole_batches or self.test_accuracy


class Takeoff(msgspec.Struct, frozen=True, kw_only=True):
    """When one seed left the plateau on which a network of sigmoids begins."""

    seed: int
    epoch: float | None
    """Epochs trained at the end of the first window whose training accuracy is above 0.2, twice
    what guessing reaches; nothing if there was none."""


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """One cell, trained whole with several seeds, beside what its recipe's source prints."""

    group: str
    cell: str
    recipe: str
    """Its label: with what this run changed."""
    seeds: tuple[int, ...]
    epochs: tuple[ReproducedEpoch, ...]
    takeoffs: tuple[Takeoff, ...]
    """In the order of ``seeds``."""
    guessing: tuple[int, ...]
    """Seeds whose test accuracy after the last epoch is still at most 0.2."""
    published: Published | None
    comparable: bool
    """Whether the published figures are of this very recipe."""

    def on_plateau(self, epoch: float) -> int:
        """How many seeds had not yet taken off by then."""
        return sum(each.epoch is None or each.epoch > epoch for each in self.takeoffs)


@once
def reproductions(run: Observations) -> tuple[Reproduction, ...]:
    """One for each cell with a finished long trial, in the order of the plan."""
    return tuple(
        _reproduction(group, cell, own, run.cells[cell].recipe if cell in run.cells else None)
        for (group, cell), own in curves_by_cell(run).items()
    )


def whole_batches_accuracy(correct: int, examples: int, size: int) -> float | None:
    """Hits ÷ (⌈``examples`` ÷ ``size``⌉ · ``size``); nothing of no examples."""
    return correct / (math.ceil(examples / size) * size) if examples > 0 < size else None


def prediction_interval(values: Sequence[float], confidence: float) -> Interval | None:
    """For one new observation from the normal population of ``values``; nothing below 2.

    mean ± t · s · √(1 + 1/n) (Whitmore, The American Statistician 40, 1986).
    """
    known = mean_of(np.array(values), LEAST_SD_OF_ACCURACY)
    return one_more(known).interval(confidence) if known and known.n > 1 else None


def rounding(printed: Sequence[float]) -> float:
    """Half a unit of the last digit that the most exact of ``printed`` has: 0.0005 for 0.763."""
    digits = max((len(f"{each:.10g}".partition(".")[2]) for each in printed), default=0)
    return 0.5 * 10.0**-digits


def takeoff(curve: Curve) -> Takeoff:
    """When the training of ``curve`` left the plateau."""
    off = (point.epoch for point in curve.training if point.accuracy > TAKEN_OFF)
    return Takeoff(seed=curve.seed, epoch=next(off, None))


def _reproduction(
    group: str, cell: str, own: Sequence[Curve], recipe: Recipe | None
) -> Reproduction:
    published = recipe.published if recipe else None
    comparable = published is not None and recipe is not None and not recipe.overrides
    return Reproduction(
        group=group,
        cell=cell,
        recipe=recipe.label if recipe else group.split("/")[0],
        seeds=tuple(curve.seed for curve in own),
        epochs=tuple(_epochs(own, published, comparable)),
        takeoffs=tuple(map(takeoff, own)),
        guessing=tuple(curve.seed for curve in own if is_guessing(curve.epochs[-1])),
        published=published,
        comparable=comparable,
    )


def _epochs(
    own: Sequence[Curve], published: Published | None, comparable: bool
) -> Iterator[ReproducedEpoch]:
    printed = published or Published(source="", hardware="", test_accuracy=())
    size = printed.whole_batches_of
    by_epoch = [{point.epoch: point for point in curve.epochs} for curve in own]
    numbers = sorted({epoch for points in by_epoch for epoch in points})
    for epoch in numbers:
        points = [points.get(epoch) for points in by_epoch]
        settled = [
            epoch == numbers[-1] and point is not None and not is_guessing(point)
            for point in points
        ]
        over_seeds = partial(_over_seeds, epoch=epoch, comparable=comparable, settled=settled)
        test_accuracy = [point.test_accuracy if point else None for point in points]
        whole = [
            whole_batches_accuracy(point.test_correct, point.test_examples, size)
            if point and size
            else None
            for point in points
        ]
        yield ReproducedEpoch(
            epoch=epoch,
            test_accuracy=over_seeds(test_accuracy, () if size else printed.test_accuracy),
            test_accuracy_of_whole_batches=(
                over_seeds(whole, printed.test_accuracy) if size else None
            ),
            train_accuracy=over_seeds(
                [point.train_accuracy if point else None for point in points],
                printed.train_accuracy,
            ),
            train_loss=over_seeds(
                [point.train_loss if point else None for point in points], printed.train_loss
            ),
        )


def is_guessing(point: EpochPoint) -> bool:
    """Whether the test accuracy is one that guessing reaches."""
    return point.test_accuracy is not None and point.test_accuracy <= TAKEN_OFF


def _over_seeds(
    values: Sequence[float | None],
    printed: Sequence[float],
    epoch: int,
    *,
    comparable: bool,
    settled: Sequence[bool],
) -> OverSeeds:
    """``settled``: for each value, whether normal theory may hold for it."""
    known = [value for value in values if value is not None]
    learned = [
        value
        for value, is_settled in zip(values, settled, strict=True)
        if value is not None and is_settled
    ]
    figure = printed[epoch - 1] if 0 < epoch <= len(printed) else None
    interval = None
    if len(learned) >= LEAST_SEEDS:
        interval = prediction_interval(learned, PREDICTION_CONFIDENCE)
    slack = rounding(printed)

    def inside(low: float, high: float) -> bool | None:
        if figure is None or not comparable or len(known) < LEAST_SEEDS:
            return None
        return low - slack <= figure <= high + slack

    return OverSeeds(
        by_seed=tuple(values),
        seeds=len(known),
        median=median(known) if known else None,
        low=min(known, default=None),
        high=max(known, default=None),
        published=figure,
        inside_range=inside(min(known), max(known)) if known else None,
        prediction_seeds=len(learned),
        prediction_interval=interval,
        inside_prediction_interval=inside(interval.low, interval.high) if interval else None,
    )
