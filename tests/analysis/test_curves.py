from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.curves import accuracy_spreads, curves, first_point_with_accuracy
from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.spec.events import Evaluation

from .golden import TWIN, A, B
from .runs import (
    BATCH,
    PUBLISHED,
    STEPS,
    USUAL_RATE,
    cell,
    long_events,
    noise,
    run_of,
    short_events,
)

RATE = 2 * USUAL_RATE
WINDOW_SECONDS = 1.1 * STEPS * BATCH / RATE
"""With its lead-in."""


def test_a_curve_has_a_point_for_each_window_and_each_epoch() -> None:
    run = run_of(long_events({"alpha": [0.3, 0.6]}), ["alpha"])
    (curve,) = curves(Observations(run))
    assert [each.epoch for each in curve.training] == pytest.approx(np.arange(1, 11) / 5)
    assert [each.train_seconds for each in curve.training] == pytest.approx(
        WINDOW_SECONDS * np.arange(1, 11)
    )
    # 1.5 nats for each of 20 timed batches, told over 22 batches.
    assert curve.training[0].loss == pytest.approx(1.5 * STEPS / (STEPS + 2))
    assert curve.training[0].accuracy == pytest.approx(0.5 * STEPS / (STEPS + 2))
    assert [each.epoch for each in curve.epochs] == [1, 2]
    assert [each.test_accuracy for each in curve.epochs] == pytest.approx([0.3, 0.6])
    assert [each.test_loss for each in curve.epochs] == pytest.approx([0.9, 0.9])
    assert [each.train_seconds for each in curve.epochs] == pytest.approx(
        [5 * WINDOW_SECONDS, 10 * WINDOW_SECONDS]
    )
    assert curve.epochs[1].train_loss == pytest.approx(1.5 * STEPS / (STEPS + 2))
    assert curve.epochs[1].train_accuracy == pytest.approx(0.5 * STEPS / (STEPS + 2))


def test_a_curve_stands_beside_what_was_published() -> None:
    run = run_of(long_events({"alpha": [0.3, 0.6]}), ["alpha"])
    (curve,) = curves(Observations(run))
    assert curve.published == PUBLISHED
    assert curve.phases == {"spawn": 0.1, "import": 2.0, "training": 6.0}
    assert curve.examples_per_second == pytest.approx(RATE)
    assert curve.train_seconds == pytest.approx(10 * WINDOW_SECONDS)


def test_epochs_come_from_the_dataset_where_nothing_was_evaluated() -> None:
    events = [e for e in long_events({"alpha": [0.3]}) if not isinstance(e, Evaluation)]
    (curve,) = curves(Observations(run_of(events, ["alpha"])))
    assert curve.epochs == ()
    assert curve.training[-1].epoch == pytest.approx(5 * (STEPS + 2) * BATCH / 60_000)


def test_a_target_is_reached_at_the_end_of_an_epoch_or_never() -> None:
    (curve,) = curves(Observations(run_of(long_events({"alpha": [0.3, 0.6]}), ["alpha"])))
    point = first_point_with_accuracy(curve, 0.5)
    assert point is not None
    assert point.train_seconds == pytest.approx(10 * WINDOW_SECONDS)
    assert first_point_with_accuracy(curve, 0.7) is None


def test_spreads_are_those_of_the_cells_farthest_apart() -> None:
    events = long_events({"alpha": [0.3, 0.6], "beta": [0.31, 0.58], "gamma": [0.35, 0.59]})
    run = run_of(events, ["alpha", "beta", "gamma"])
    first, second = accuracy_spreads(Observations(run))
    assert (first.epoch, first.highest, first.lowest) == (1, cell("gamma").id, cell("alpha").id)
    assert first.largest_difference == pytest.approx(0.05)
    assert (second.epoch, second.highest, second.lowest) == (2, cell("alpha").id, cell("beta").id)
    assert second.largest_difference == pytest.approx(0.02)


def test_cells_that_may_not_be_compared_have_no_spread() -> None:
    events = long_events({"alpha": [0.3], "beta": [0.9]})
    assert (
        accuracy_spreads(Observations(run_of(events, ["alpha", "beta"], worst={"beta": 1.0}))) == ()
    )


def test_long_trials_have_no_say_in_verdicts() -> None:
    short = short_events(
        {A: noise(1, 5, 2, 0.01), TWIN: noise(2, 5, 2, 0.01), B: noise(3, 5, 2, 0.01)}
    )
    with_long = [*short, *long_events({"alpha": [0.3], "beta": [0.6]})]
    assert judge(Observations(run_of(with_long, ["alpha", "beta"]))) == judge(
        Observations(run_of(short, ["alpha", "beta"]))
    )
