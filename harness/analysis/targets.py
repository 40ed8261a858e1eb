"""How soon a long trial reaches the accuracy that its recipe names."""

from __future__ import annotations

import msgspec

from harness.analysis.curves import Curve, curves, first_point_with_accuracy
from harness.analysis.observations import Observations


class TargetTime(msgspec.Struct, frozen=True, kw_only=True):
    """One long trial, and when it got there. The test set is evaluated once an epoch."""

    group: str
    cell: str
    block: int
    seed: int
    target_accuracy: float
    """Test accuracy, a fraction: the recipe's."""
    epoch: int | None
    """The first at whose end the test accuracy is at least that; nothing if it never was."""
    train_seconds: float | None
    """Wall seconds of training steps until then; staging, evaluation and waiting are not in
    them."""


def target_times(run: Observations) -> tuple[TargetTime, ...]:
    """One for each finished long trial of a recipe with a target, in order."""
    return tuple(
        _target_time(curve, curve.target_accuracy)
        for curve in curves(run)
        if curve.target_accuracy is not None
    )


def _target_time(curve: Curve, target_accuracy: float) -> TargetTime:
    point = first_point_with_accuracy(curve, target_accuracy)
    return TargetTime(
        group=curve.group,
        cell=curve.cell,
        block=curve.block,
        seed=curve.seed,
        target_accuracy=target_accuracy,
        epoch=point.epoch if point else None,
        train_seconds=point.train_seconds if point else None,
    )
