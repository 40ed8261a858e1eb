from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from harness.analysis.estimate import Estimate, one_more
from harness.analysis.rules import Limits, TwoSided, goal_word, unusual, worsenings

RULE = TwoSided(within=0.005, difference_alpha=0.05, equivalence_alpha=0.05)
LIMITS = Limits(threshold=0.02, blind_to=0.10)
means = st.lists(st.floats(-0.1, 0.3), min_size=1, max_size=6)
errors = st.floats(0.001, 0.05)


def estimate(mean: float, error: float, n: int = 10) -> Estimate:
    return Estimate(mean, error, n - 1, n)


@pytest.mark.parametrize(
    ("mean", "error", "word"),
    [
        (0.0, 0.001, "equivalent"),
        (0.004, 0.0001, "equivalent"),  # before a difference that is of no interest
        (0.02, 0.002, "more"),
        (-0.02, 0.002, "less"),
        (0.0, 0.01, "open"),
        (0.006, 0.01, "open"),
    ],
)
def test_equivalence_then_difference_then_open(mean, error, word):
    found = estimate(mean, error)
    assert RULE.word(found, found.p) == word


def test_a_difference_is_claimed_by_the_adjusted_p():
    found = estimate(0.02, 0.008)
    assert found.p < 0.05
    assert RULE.word(found, 3 * found.p) == "open"


@pytest.mark.parametrize("family", [1, 3])
def test_values_to_settle_are_the_fewest_that_would(family):
    known = np.array([0.01, -0.009, 0.002, 0.005, -0.007, 0.011, -0.003, 0.001])
    mean, sd = known.mean(), known.std(ddof=1)
    needed = RULE.values_to_settle(estimate(mean, sd / math.sqrt(8), 8), family)

    def settled(n: int) -> bool:
        half = stats.t.ppf(0.95, n - 1) * sd / n**0.5
        wide = stats.t.ppf(1 - 0.025 / family, n - 1) * sd / n**0.5
        return bool(abs(mean) + half < 0.005 or wide < abs(mean))

    assert settled(needed)
    assert not settled(needed - 1)


def test_what_no_number_settles_is_more_than_the_most():
    assert RULE.values_to_settle(estimate(0.0, 1.0, 4), 1) == 1001


@given(means, errors)
def test_bounds_of_a_worsening_agree_with_holm(found, error):
    family = [estimate(mean, error) for mean in found]
    outcomes = worsenings(family, [LIMITS] * len(family), 0.01)
    for outcome in outcomes:
        assert (outcome.word == "worse") == (outcome.at_least > LIMITS.threshold)
        assert outcome.at_least < outcome.estimate.mean < outcome.at_most
        assert (outcome.word == "too_noisy") == (
            outcome.at_least <= LIMITS.threshold and outcome.at_most >= LIMITS.blind_to
        )
    alone = [worsenings([each], [LIMITS], 0.01)[0].p_adjusted for each in family]
    expected = list(multipletests(alone, method="holm")[1])
    assert [each.p_adjusted for each in outcomes] == pytest.approx(expected)


def test_a_worse_value_is_unusual_and_beyond_the_threshold():
    def word(mean: float, error: float, family: int = 1) -> str:
        others = [estimate(0.0, error)] * (family - 1)
        found = unusual([estimate(mean, error), *others], [LIMITS] * family, 0.01)
        return found[0].word

    assert word(0.05, 0.01) == "worse"
    assert word(0.015, 0.001) == "held", "unusual, but by less than the threshold"
    assert word(0.0, 0.01) == "held"
    assert word(0.0, 0.05) == "too_noisy"
    assert word(0.5, 0.05) == "worse", "what is seen is seen"
    assert word(0.03, 0.01) == "worse"
    assert word(0.03, 0.01, family=4) == "held", "more cells need more evidence"


def test_an_unusual_value_is_judged_by_the_scatter_of_values_not_of_their_mean():
    mean = estimate(0.05, 0.011)
    assert unusual([mean], [LIMITS], 0.01)[0].word == "worse"
    assert unusual([one_more(mean)], [LIMITS], 0.01)[0].word == "too_noisy"


@pytest.mark.parametrize(
    ("ratio", "sd", "n", "word"),
    [
        (1.0, 0.001, 10, "met"),
        (0.98, 0.001, 10, "missed"),
        (0.99, 0.001, 10, "open"),
        (1.0, 0.1, 10, "open"),
        (1.0, 0.001, 4, "open"),
        (1.0, math.nan, 1, "open"),
    ],
)
def test_a_goal_is_decided_by_where_the_interval_lies(ratio, sd, n, word):
    found = estimate(math.log(ratio), sd / math.sqrt(n), n)
    assert goal_word(found, math.log(0.99), least_n=5) == word
