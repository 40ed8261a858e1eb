from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from harness.analysis.slowdown import planned_blocks, slowdown_tests
from harness.spec.gates import Thresholds


def test_how_many_blocks_are_planned():
    assert [planned_blocks(cells) for cells in (1, 2, 6)] == [10, 20, 20]


@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_those_of_textbooks(seed):
    logs = np.random.RandomState(seed).normal(0.05, 0.05, size=10)
    [test] = slowdown_tests([logs], [Thresholds()], 0.01)
    above = stats.ttest_1samp(logs, math.log1p(0.02), alternative="greater")
    below = stats.ttest_1samp(logs, 0, alternative="less")
    assert test.p_adjusted == pytest.approx(above.pvalue)
    assert test.at_least == pytest.approx(math.expm1(above.confidence_interval(0.99).low))
    assert test.at_most == pytest.approx(math.expm1(below.confidence_interval(0.95).high))


@pytest.mark.heavy
@given(st.lists(st.floats(-0.1, 0.3), min_size=1, max_size=6), st.integers(0, 10_000))
def test_bounds_agree_with_holm(slowdowns, seed):
    random = np.random.RandomState(seed)
    logs = [np.log1p(each) + random.normal(0, 0.05, size=10) for each in slowdowns]
    tests = slowdown_tests(logs, [Thresholds()] * len(logs), 0.01)
    for test in tests:
        assert test.slower == (test.at_least > 0.02)
        assert test.at_least < math.expm1(test.estimate.mean) < test.at_most
    alone = [slowdown_tests([each], [Thresholds()], 0.01)[0].p_adjusted for each in logs]
    expected = multipletests(alone, method="holm")[1]
    assert [test.p_adjusted for test in tests] == pytest.approx(list(expected))
