from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.slowdown import planned_looks, slowdowns, spent
from harness.spec.gates import Thresholds


def test_looks_are_planned_and_share_all_errors():
    assert planned_looks(1) == (5, 8, 12)
    assert planned_looks(2) == planned_looks(6) == (5, 8, 12, 20)
    for looks in ((10,), (5, 8, 12), (5, 8, 12, 20)):
        shares = spent(looks)
        assert sum(shares) == pytest.approx(1)
        assert shares == sorted(shares)
    assert spent((0,)) == [1.0]


def test_thresholds_are_of_times_and_estimates_of_their_logs():
    """A cell that takes 3 % more time for certain is slower at 2 %, and held at its own 5 %."""
    logs = np.full(10, math.log(1.03))
    found = slowdowns([logs, logs], [Thresholds(), Thresholds(slowdown=0.05)], 0.01, (10,))
    assert [each.word for each in found] == ["worse", "held"]
    assert [math.expm1(each.timed.estimate.mean) for each in found] == pytest.approx([0.03, 0.03])


@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_those_of_textbooks(seed):
    logs = np.random.RandomState(seed).normal(0.05, 0.05, size=10)
    [found] = [each.timed for each in slowdowns([logs], [Thresholds()], 0.01, (10,))]
    above = stats.ttest_1samp(logs, math.log1p(0.02), alternative="greater")
    below = stats.ttest_1samp(logs, 0, alternative="less")
    assert found.p_adjusted == pytest.approx(above.pvalue)
    assert found.at_least == pytest.approx(above.confidence_interval(0.99).low)
    assert found.at_most == pytest.approx(below.confidence_interval(0.95).high)


LOOKS = (5, 8, 12)
STEADY = 1e-3 * np.array([1, -1, 2, -2, 0, 1, -1, 2, -2, 0, 1, -1])


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        (STEADY, ["held"] * 3),
        (STEADY + 0.2, ["worse"] * 3),
        # Above the threshold and below what it is blind to: the last look says it.
        (0.9 * math.log1p(0.02) + 20 * STEADY, ["held"] * 3),
        (math.log1p(0.025) + 5 * STEADY, ["open", "open", "held"]),
        (300 * STEADY, ["open", "open", "too_noisy"]),
    ],
)
def test_a_look_decides_or_leaves_open_until_the_last(logs, words):
    seen = [slowdowns([logs[:blocks]], [Thresholds()], 0.01, LOOKS)[0] for blocks in LOOKS]
    assert [each.word for each in seen] == words


def test_what_a_look_decided_stays_whatever_comes_later():
    logs = np.concatenate([STEADY[:5] + 0.2, STEADY[5:] - 0.2])
    [found] = slowdowns([logs], [Thresholds()], 0.01, LOOKS)
    assert (found.word, found.timed.estimate.n) == ("worse", 5)


def test_before_the_first_look_and_below_five_blocks_nothing_is_said():
    missing = np.where(np.arange(12) < 8, np.nan, STEADY)
    assert slowdowns([STEADY[:4], missing], [Thresholds()] * 2, 0.01, LOOKS) == [None, None]


def test_between_looks_the_last_one_stands():
    logs = math.log1p(0.025) + 5 * STEADY
    one, other = (slowdowns([logs[:n]], [Thresholds()], 0.01, LOOKS)[0] for n in (5, 7))
    assert one == other


def test_a_cell_that_was_decided_still_counts_in_the_family():
    """Holm's method asks as much of the one that is left as if both were undecided."""
    slower = math.log1p(0.02) + 0.03 + 40 * STEADY
    alone = slowdowns([slower], [Thresholds()], 0.01, LOOKS)[0]
    among = slowdowns([slower, STEADY], [Thresholds()] * 2, 0.01, LOOKS)
    assert among[1].timed.estimate.n == 5
    assert among[0].timed.p_adjusted == pytest.approx(2 * alone.timed.p_adjusted)
