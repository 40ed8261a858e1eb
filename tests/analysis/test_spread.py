"""No number of equal values is a proof: nowhere is a p 0, or an interval a point."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.check import prediction
from harness.analysis.convergence import Paired
from harness.analysis.estimates import estimate
from harness.analysis.inputs import share_interval
from harness.analysis.reproduction import prediction_interval
from harness.analysis.slowdown import slowdown_tests
from harness.analysis.spread import LEAST_SD_OF_ACCURACY, spread
from harness.spec.gates import Thresholds

EQUAL = np.full(8, 0.125)


def test_p_values_of_equal_values_are_small_and_not_0():
    found = estimate(EQUAL)
    assert found is not None
    [test] = slowdown_tests([EQUAL], [Thresholds()], 0.01)
    paired = Paired(EQUAL)
    p_values = {
        "speed": found.p,
        "slowdown": test.p_adjusted,
        "difference": paired.p_difference,
        "above": paired.p_above(0.005),
        "equivalence": Paired(0 * EQUAL).p_equivalence,
        "prediction": prediction(0.1, EQUAL.tolist(), LEAST_SD_OF_ACCURACY).p,
    }
    assert {name for name, p in p_values.items() if not 0 < p < 1e-3} == set()


def test_intervals_of_equal_values_have_a_width():
    found = estimate(EQUAL)
    assert found is not None
    [test] = slowdown_tests([EQUAL], [Thresholds()], 0.01)
    intervals = {
        "speed": found.interval(0.95),
        "difference": Paired(EQUAL).interval(0.9),
        "new run": prediction_interval(EQUAL.tolist(), 0.95),
        "input": share_interval(EQUAL, EQUAL),
    }
    assert {name for name, one in intervals.items() if not one or one.low >= one.high} == set()
    assert test.at_least < math.expm1(0.125) < test.at_most
    assert prediction(0.1, EQUAL.tolist(), LEAST_SD_OF_ACCURACY).reach(0.01) > 0


def test_what_scatters_more_than_a_step_is_left_as_it_is():
    values = np.array([0.7, 0.71, 0.73])
    assert spread(values, LEAST_SD_OF_ACCURACY) == pytest.approx(values.std(ddof=1))
    assert spread(values[:1].repeat(3), 1e-5) == 1e-5
