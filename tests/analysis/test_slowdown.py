from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from harness.analysis.slowdown import planned_blocks, slowdown_tests
from harness.spec.gates import Thresholds


def test_how_many_blocks_are_planned():
    assert [planned_blocks(cells) for cells in (1, 2, 6)] == [10, 20, 20]


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
