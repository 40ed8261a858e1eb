"""Long trials: how loss and accuracy went, against epochs and against seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate, combinations

import msgspec
import numpy as np

from harness.analysis.observations import Observations, once
from harness.analysis.trials import Trial
from harness.spec.events import Evaluation, Window
from harness.spec.recipes import Published, Recipe


class TrainingPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The state of training at the end of a window."""

    epoch: float
    """Epochs trained, with fractions."""
    train_seconds: float
    """Wall seconds of all training steps so far, lead-ins and partial batches with them; without
    staging, evaluation and waiting."""
    loss: float | None
    """Mean over the examples trained since the point before, in nats, each at its own step."""
    accuracy: float
    """Likewise, a fraction."""


class EpochPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The state at the end of an epoch."""

    epoch: int
    step: int
    train_seconds: float
    """As ``TrainingPoint.train_seconds``."""
    test_loss: float | None
    """Mean over the test set, in nats."""
    test_accuracy: float | None
    """A fraction of the examples evaluated; nothing where there were none."""
    test_correct: int
    test_examples: int
    train_loss: float | None
    """Mean over the examples of this epoch, each at its own step: what tutorials print."""
    train_accuracy: float | None
    """Likewise; nothing before the first step."""
    evaluation_seconds: float


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One long trial."""

    group: str
    cell: str
    trial: int
    block: int
    seed: int
    training: tuple[TrainingPoint, ...]
    epochs: tuple[EpochPoint, ...]
    published: Published | None
    """What the recipe's source prints; see the recipe's label for what this run changed."""
    target_accuracy: float | None
    """The recipe's."""
    examples_per_second: float | None
    """Timed examples ÷ timed seconds: indicative, as nothing ran interleaved with it."""
    train_seconds: float
    phases: dict[str, float]
    """Phase → seconds, as the worker recorded them."""
    peak_memory_bytes: int


class AccuracySpread(msgspec.Struct, frozen=True, kw_only=True):
    """How far the test accuracies of a group's comparable cells lie apart after an epoch."""

    group: str
    block: int
    """Long trials of one block share their seed."""
    epoch: int
    largest_difference: float
    """Of test accuracy, as a fraction."""
    highest: str
    """Cell id."""
    lowest: str
    """Cell id."""


@once
def curves(run: Observations) -> tuple[Curve, ...]:
    """One curve for each long trial of a finished block, in order."""
    train_examples = {each.name: each.train_examples for each in run.manifest.datasets}
    found = []
    for block in run.long_blocks:
        for trial in block.trials:
            cell = run.cells.get(trial.started.cell)
            recipe = cell.recipe if cell else None
            of_dataset = train_examples.get(recipe.dataset) if recipe else None
            found.append(_curve(trial, of_dataset, recipe))
    return tuple(found)


@once
def curves_by_cell(run: Observations) -> dict[tuple[str, str], tuple[Curve, ...]]:
    """Group and cell id → its curves with at least one evaluation, one a seed, by block.

    Groups in the order of the plan, cells in that of their group; those without are left out.
    """
    found = [curve for curve in curves(run) if curve.epochs]
    by_cell = {}
    for group in run.manifest.plan.groups:
        for cell in group.cells:
            own = [each for each in found if (each.group, each.cell) == (group.name, cell)]
            by_seed: dict[int, Curve] = {}
            for curve in sorted(own, key=lambda curve: curve.block):
                by_seed.setdefault(curve.seed, curve)
            if by_seed:
                by_cell[group.name, cell] = tuple(by_seed.values())
    return by_cell


def accuracy_spreads(run: Observations) -> tuple[AccuracySpread, ...]:
    """The largest difference between comparable cells, for each long block and epoch.

    Cells with a loader train in an order of their own: they are in none.
    """
    loading = {cell.id for cell in run.manifest.cells if cell.loads}
    accuracy: defaultdict[tuple[str, int, int], dict[str, float]] = defaultdict(dict)
    for curve in curves(run):
        for point in curve.epochs if curve.cell not in loading else ():
            if point.test_accuracy is not None:
                accuracy[curve.group, curve.block, point.epoch][curve.cell] = point.test_accuracy
    spreads = []
    for (group, block, epoch), by_cell in accuracy.items():
        pairs = [
            (abs(by_cell[one] - by_cell[other]), one, other)
            for one, other in combinations(by_cell, 2)
            if not run.obstacles.between(one, other)
        ]
        if pairs:
            difference, one, other = max(pairs, key=lambda pair: pair[0])
            highest, lowest = sorted((one, other), key=lambda cell: -by_cell[cell])
            spreads.append(
                AccuracySpread(
                    group=group,
                    block=block,
                    epoch=epoch,
                    largest_difference=difference,
                    highest=highest,
                    lowest=lowest,
                )
            )
    return tuple(spreads)


def first_point_with_accuracy(curve: Curve, test_accuracy: float) -> EpochPoint | None:
    """The first epoch's end with at least that test accuracy; nothing if it was never reached."""
    reached = (
        each
        for each in curve.epochs
        if each.test_accuracy is not None and each.test_accuracy >= test_accuracy
    )
    return next(reached, None)


def _curve(trial: Trial, train_examples: int | None, recipe: Recipe | None) -> Curve:
    windows = trial.windows
    seconds = list(accumulate(map(_train_seconds, windows), initial=0.0))
    examples = list(accumulate((window.trained_examples for window in windows), initial=0))
    ends = [0, *(_end(window) for window in windows)]
    per_epoch = _examples_per_epoch(trial, ends, examples) or train_examples
    timed = sum(window.wall_seconds for window in windows)
    training = tuple(
        TrainingPoint(
            epoch=total / per_epoch,
            train_seconds=passed,
            loss=_mean(window.loss_sum, window.trained_examples),
            accuracy=window.correct / window.trained_examples,
        )
        for window, passed, total in zip(windows, seconds[1:], examples[1:], strict=True)
        if per_epoch and window.trained_examples > 0
    )
    return Curve(
        group=trial.started.group,
        cell=trial.started.cell,
        trial=trial.started.trial,
        block=trial.started.block,
        seed=trial.started.seed,
        training=training,
        epochs=_epoch_points(trial, ends, seconds),
        published=recipe.published if recipe else None,
        target_accuracy=recipe.target_accuracy if recipe else None,
        examples_per_second=_rate(sum(window.examples for window in windows), timed),
        train_seconds=seconds[-1],
        phases=trial.finished.phases,
        peak_memory_bytes=trial.finished.peak_memory_bytes,
    )


def _epoch_points(
    trial: Trial, ends: Sequence[int], seconds: Sequence[float]
) -> tuple[EpochPoint, ...]:
    points = []
    before = 0
    for evaluation in trial.evaluations:
        done = _windows_before(evaluation, ends)
        own = trial.windows[before:done]
        trained = sum(window.trained_examples for window in own)
        losses = [window.loss_sum for window in own]
        finite = [loss for loss in losses if loss is not None]
        points.append(
            EpochPoint(
                epoch=evaluation.epoch,
                step=evaluation.step,
                train_seconds=seconds[done],
                test_loss=_mean(evaluation.loss_sum, evaluation.examples),
                test_accuracy=_mean(evaluation.correct, evaluation.examples),
                test_correct=evaluation.correct,
                test_examples=evaluation.examples,
                train_loss=_mean(sum(finite), trained) if len(finite) == len(losses) else None,
                train_accuracy=_mean(sum(window.correct for window in own), trained),
                evaluation_seconds=evaluation.seconds,
            )
        )
        before = done
    return tuple(points)


def _examples_per_epoch(trial: Trial, ends: Sequence[int], examples: Sequence[int]) -> float | None:
    """What the trial itself shows, which holds also where suites count steps and not epochs."""
    for evaluation in trial.evaluations:
        done = _windows_before(evaluation, ends)
        if evaluation.epoch > 0 and examples[done]:
            return examples[done] / evaluation.epoch
    return None


def _windows_before(evaluation: Evaluation, ends: Sequence[int]) -> int:
    """How many windows were over when the test set was evaluated."""
    return int(np.searchsorted(ends[1:], evaluation.step, side="right"))


def _end(window: Window) -> int:
    """Steps of the trial when the window and its partial batch were over."""
    return window.first_step + window.lead_in_steps + window.steps + window.partial_steps


def _train_seconds(window: Window) -> float:
    return window.lead_in_seconds + window.wall_seconds + window.partial_seconds


def _mean(total: float | None, count: int) -> float | None:
    return None if total is None or count <= 0 else total / count


def _rate(examples: int, seconds: float) -> float | None:
    return examples / seconds if seconds > 0 else None
