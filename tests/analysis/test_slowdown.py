from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.slowdown import planned_blocks, slowdowns
from harness.spec.gates import Thresholds


def test_how_many_blocks_are_planned():
    assert [planned_blocks(cells) for cells in (1, 2, 6)] == [10, 20, 20]


def test_thresholds_are_of_times_and_estimates_of_their_logs():
    """A cell that takes 3 % more time for certain is slower at 2 %, and held at its own 5 %."""
    logs = np.full(10, math.log(1.03))
    found = slowdowns([logs, logs], [Thresholds(), Thresholds(slowdown=0.05)], 0.01)
    assert [each.word for each in found] == ["worse", "held"]
    assert [math.expm1(each.estimate.mean) for each in found] == pytest.approx([0.03, 0.03])


@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_those_of_textbooks(seed):
    logs = np.random.RandomState(seed).normal(0.05, 0.05, size=10)
    [found] = slowdowns([logs], [Thresholds()], 0.01)
    above = stats.ttest_1samp(logs, math.log1p(0.02), alternative="greater")
    below = stats.ttest_1samp(logs, 0, alternative="less")
    assert found.p_adjusted == pytest.approx(above.pvalue)
    assert found.at_least == pytest.approx(above.confidence_interval(0.99).low)
    assert found.at_most == pytest.approx(below.confidence_interval(0.95).high)
