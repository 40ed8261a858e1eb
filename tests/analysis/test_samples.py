from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.samples import Contender as Column
from harness.analysis.samples import log_ratios, mean_log, rates, sample_of
from harness.analysis.trials import finished_blocks
from harness.spec.events import BlockFinished
from harness.spec.manifest import Run

from .runs import USUAL_RATE, Contender, cell, noise, speed_run

A, B = Contender("alpha"), Contender("beta")


def column(of: Contender) -> Column:
    return Column(cell(of.framework).id, of.twin)


def ratios_of(run: Run) -> list[float]:
    of = sample_of(run.manifest.plan.groups[0], finished_blocks(run.events, long=False))
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


def test_the_mean_of_log_ratios_is_a_geometric_one() -> None:
    found = mean_log(np.log([0.5, 2.0, 8.0]))
    assert found is not None
    assert found.ratio == pytest.approx(2.0)
    interval = found.ratio_interval(0.95)
    assert interval is not None
    assert math.sqrt(interval.low * interval.high) == pytest.approx(2.0)
    assert mean_log(np.array([math.nan])) is None


def test_rates_are_examples_per_second() -> None:
    logs = np.log(np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]]))
    run = speed_run({A: logs, B: np.zeros((2, 3))})
    of = sample_of(run.manifest.plan.groups[0], finished_blocks(run.events, long=False))
    first, second = rates(of)
    assert first.examples_per_second == pytest.approx(2 * USUAL_RATE)
    assert first.examples_per_second_by_block == pytest.approx((2 * USUAL_RATE,) * 2)
    # Three windows of equal work, of 1, ½ and ¼ of the time.
    assert first.examples_per_second_by_total_time == pytest.approx(3 / 1.75 * USUAL_RATE)
    assert first.effective_threads == pytest.approx(1.9)
    assert first.waiting_cpu_share == pytest.approx(0.001)
    assert second.examples_per_second == pytest.approx(USUAL_RATE)
    assert first.interval and first.interval.confidence == 0.95
