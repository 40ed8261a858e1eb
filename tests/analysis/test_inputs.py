from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.estimate import Estimate
from harness.analysis.inputs import input_costs, share_interval
from harness.analysis.observations import Observations
from harness.analysis.samples import mean_log
from harness.spec.cells import Input
from harness.spec.manifest import Run

from .golden import A, B
from .runs import BATCH, STEPS, USUAL_RATE, Logs, cell, noise, run_of, short_events

logs = st.lists(st.floats(-1, 1), min_size=2, max_size=8).map(np.array)


def both(resident: dict[str, Logs], loader: dict[str, Logs], source: Input = "loader") -> Run:
    contenders = {"alpha": A, "beta": B}
    events = short_events({contenders[name]: rows for name, rows in resident.items()})
    events += short_events(
        {contenders[name]: rows for name, rows in loader.items()}, source=source, first_trial=500
    )
    return run_of(events, ["alpha", "beta"], sources=("resident", source), aa=False)


@pytest.mark.parametrize("source", ["loader", "pipeline"])
def test_the_share_of_time_that_input_costs(source: Input) -> None:
    flat = np.zeros((3, 2))
    run = both(
        {"alpha": flat, "beta": flat + math.log(2)},
        {"alpha": flat + math.log(0.75), "beta": flat + math.log(0.5)},
        source,
    )
    alpha, beta = input_costs(Observations(run))
    assert (alpha.recipe, alpha.input, alpha.loader_workers) == ("lenet-sgd", source, 2)
    assert alpha.resident_cell == cell("alpha").id
    assert alpha.loader_cell == cell("alpha", source=source).id
    assert alpha.loader_group.endswith(f"/{source}-2w/cpu-2t")
    assert alpha.resident_examples_per_second == pytest.approx(USUAL_RATE)
    assert alpha.loader_examples_per_second == pytest.approx(0.75 * USUAL_RATE)
    assert alpha.share_of_time == pytest.approx(0.25)
    assert beta.share_of_time == pytest.approx(0.75)
    assert (alpha.resident_blocks, alpha.loader_blocks) == (3, 3)
    assert alpha.resident_stage_seconds == pytest.approx(0.05)
    assert alpha.resident_train_seconds == pytest.approx(1.1 * STEPS * BATCH / USUAL_RATE)


def test_blocks_give_an_interval_and_one_block_does_not() -> None:
    resident, loader = noise(1, 6, 3, 0.02), noise(2, 6, 3, 0.02, shift=-0.3)
    (found,) = input_costs(Observations(both({"alpha": resident}, {"alpha": loader})))
    assert found.interval is not None
    assert found.interval.low < found.share_of_time < found.interval.high
    assert found.interval.low < 1 - math.exp(-0.3) < found.interval.high
    (found,) = input_costs(Observations(both({"alpha": resident[:1]}, {"alpha": loader})))
    assert found.interval is None


def test_a_contender_without_the_other_input_is_left_out() -> None:
    assert (
        input_costs(Observations(both({"alpha": np.zeros((2, 2))}, {"beta": np.zeros((2, 2))})))
        == ()
    )
    failed = np.full((2, 2), np.nan)
    assert input_costs(Observations(both({"alpha": np.zeros((2, 2))}, {"alpha": failed}))) == ()
    assert input_costs(Observations(run_of([], ["alpha"]))) == ()


def mean(logs: Logs) -> Estimate:
    found = mean_log(logs)
    assert found is not None
    return found


@given(resident=logs, loader=logs)
def test_the_interval_is_welchs(resident: Logs, loader: Logs) -> None:
    found = share_interval(mean(resident), mean(loader))
    assert found is not None
    if np.ptp(resident) < 1e-6 or np.ptp(loader) < 1e-6:
        return
    known = stats.ttest_ind(loader, resident, equal_var=False).confidence_interval(0.95)
    assert 1 - found.low == pytest.approx(math.exp(known.high), rel=1e-6)
    assert 1 - found.high == pytest.approx(math.exp(known.low), rel=1e-6)


def test_blocks_that_are_all_the_same_leave_no_doubt() -> None:
    found = share_interval(mean(np.zeros(3)), mean(np.full(3, math.log(0.5))))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))
