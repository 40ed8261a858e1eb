from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.estimates import Contender as Column
from harness.analysis.estimates import Estimate, estimate, log_ratios, rates, sample
from harness.analysis.trials import finished_blocks
from harness.spec.events import BlockFinished, Run

from .runs import USUAL_RATE, Contender, cell, noise, speed_run

A, B = Contender("alpha"), Contender("beta")


def column(of: Contender) -> Column:
    return Column(cell(of.framework).id, of.twin)


def ratios_of(run: Run) -> list[float]:
    of = sample(run.manifest.plan.groups[0], finished_blocks(run, long=False))
    ratios: list[float] = log_ratios(of, column(B), column(A)).tolist()
    return ratios


def test_a_block_counts_with_the_median_of_its_paired_windows() -> None:
    alpha = np.array([[0.0, 0.1, 0.5]])
    beta = np.array([[0.2, 0.4, 0.5]])  # paired: .2, .3, .0; medians apart would give .3
    assert ratios_of(speed_run({A: alpha, B: beta}, looks=(1,))) == pytest.approx([0.2])


def test_windows_are_paired_by_round_whatever_the_order_of_events() -> None:
    run = speed_run({A: noise(1, 3, 4, 0.1), B: noise(2, 3, 4, 0.1)})
    backwards = Run(manifest=run.manifest, events=[*reversed(run.events)])
    assert sorted(ratios_of(backwards)) == pytest.approx(sorted(ratios_of(run)), rel=1e-12)


def test_a_block_without_one_of_the_two_is_missing() -> None:
    beta = noise(2, 3, 2, 0.1)
    beta[1] = np.nan
    found = ratios_of(speed_run({A: noise(1, 3, 2, 0.1), B: beta}))
    assert [math.isnan(each) for each in found] == [False, True, False]


def test_blocks_that_did_not_finish_are_not_read() -> None:
    run = speed_run({A: noise(1, 3, 2, 0.1), B: noise(2, 3, 2, 0.1)})
    torn = [e for e in run.events if not (isinstance(e, BlockFinished) and e.block == 1)]
    found = ratios_of(run)
    assert ratios_of(Run(manifest=run.manifest, events=torn)) == [found[0], found[2]]


def test_the_interval_is_the_one_of_textbooks() -> None:
    logs = np.array([0.1, 0.3, 0.2, 0.25, 0.05])
    found = estimate(logs)
    assert found is not None
    expected = stats.ttest_1samp(logs, 0.0)
    interval = found.interval(0.99)
    assert interval is not None
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    limits = expected.confidence_interval(0.99)
    assert np.log([interval.low, interval.high]) == pytest.approx([limits.low, limits.high])
    assert interval.confidence == 0.99


def test_one_block_has_a_value_and_nothing_else() -> None:
    found = estimate(np.array([0.5]))
    assert found is not None
    assert found.value == pytest.approx(math.exp(0.5))
    assert found.interval(0.95) is None
    assert math.isnan(found.p)
    assert estimate(np.array([math.nan])) is None


def test_not_even_blocks_without_any_spread_are_certain() -> None:
    assert Estimate(5, 0.0, 0.0).p == 1.0
    assert 0 < Estimate(5, 0.1, 0.0).p < 1e-6
    interval = Estimate(5, 0.0, 0.0).interval(0.95)
    assert interval is not None
    assert interval.low < 1 < interval.high


@given(
    st.lists(st.floats(-2, 2), min_size=2, max_size=30),
    st.floats(0.5, 0.999),
)
def test_the_interval_holds_the_estimate(logs: list[float], confidence: float) -> None:
    found = estimate(np.array(logs))
    assert found is not None
    interval = found.interval(confidence)
    assert interval is not None
    assert interval.low <= found.value * (1 + 1e-12)
    assert found.value <= interval.high * (1 + 1e-12)


def test_rates_are_examples_per_second() -> None:
    logs = np.log(np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]]))
    run = speed_run({A: logs, B: np.zeros((2, 3))})
    of = sample(run.manifest.plan.groups[0], finished_blocks(run, long=False))
    first, second = rates(of)
    assert first.examples_per_second == pytest.approx(2 * USUAL_RATE)
    assert first.examples_per_second_by_block == pytest.approx((2 * USUAL_RATE,) * 2)
    # Three windows of equal work, of 1, ½ and ¼ of the time.
    assert first.examples_per_second_by_total_time == pytest.approx(3 / 1.75 * USUAL_RATE)
    assert first.effective_threads == pytest.approx(1.9)
    assert first.waiting_cpu_share == pytest.approx(0.001)
    assert second.examples_per_second == pytest.approx(USUAL_RATE)
    assert first.interval and first.interval.confidence == 0.95
