from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from harness.analysis.estimate import (
    LEAST_SD_OF_ACCURACY,
    Estimate,
    difference,
    holm,
    holm_levels,
    mean_of,
    one_more,
)

EQUAL = np.full(8, 0.125)
values = st.lists(st.integers(-80, 80).map(lambda images: images / 4000), min_size=3, max_size=12)
p_values = st.lists(st.floats(1e-9, 1), min_size=1, max_size=8)


def mean(known: list[float]) -> Estimate:
    found = mean_of(np.array(known), LEAST_SD_OF_ACCURACY)
    assert found is not None
    return found


@given(values)
def test_intervals_and_p_values_are_those_of_statsmodels(known):
    if np.std(known, ddof=1) < LEAST_SD_OF_ACCURACY:
        return
    found, theirs = mean(known), DescrStatsW(known)
    assert found.p == pytest.approx(stats.ttest_1samp(known, 0).pvalue, abs=1e-12)
    assert found.p_outside(0.005) == pytest.approx(theirs.ttost_mean(-0.005, 0.005)[0], abs=1e-12)
    assert found.p_above(0.005) == pytest.approx(theirs.ttest_mean(0.005, "larger")[1], abs=1e-12)
    assert found.p_below(0.005) == pytest.approx(theirs.ttest_mean(0.005, "smaller")[1], abs=1e-12)
    interval = found.interval(0.9)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(theirs.tconfint_mean(alpha=0.1))
    assert found.mean + found.half(0.95) == pytest.approx(interval.high)


@given(values)
def test_two_one_sided_tests_are_an_interval_within_both_limits(known):
    found = mean(known)
    interval = found.interval(0.9)
    assert interval is not None
    inside = interval.low > -0.005 and interval.high < 0.005
    assert inside == (found.p_outside(0.005) < 0.05)


@given(values)
def test_the_other_way_round_it_is_the_same(known):
    one, other = mean(known), mean([-each for each in known])
    assert one.p_outside(0.005) == pytest.approx(other.p_outside(0.005))
    assert one.p == pytest.approx(other.p)


def test_tost_errs_no_more_often_than_it_says():
    """At a true mean of just the limit, one inside it is claimed in at most 5 %."""
    random = np.random.RandomState(3)
    draws = random.normal(0.005, 0.004, size=(2000, 8)).tolist()
    claims = sum(mean(draw).p_outside(0.005) < 0.05 for draw in draws)
    assert claims / 2000 <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


@given(values, values)
def test_the_difference_of_two_samples_is_welchs(one, other):
    found = difference(mean(one), mean(other))
    assert found is not None
    if min(np.std(each, ddof=1) for each in (one, other)) < LEAST_SD_OF_ACCURACY:
        return
    theirs = stats.ttest_ind(one, other, equal_var=False)
    assert found.freedom == pytest.approx(theirs.df)
    assert found.p == pytest.approx(theirs.pvalue, abs=1e-12)


def test_one_more_value_is_held_against_a_wider_interval():
    known = [0.70, 0.71, 0.73, 0.74]
    found = one_more(mean(known)).interval(0.95)
    assert found is not None
    half = stats.t.ppf(0.975, 3) * np.std(known, ddof=1) * math.sqrt(1 + 1 / 4)
    assert found.high - np.mean(known) == pytest.approx(half)


def test_one_value_has_a_mean_and_nothing_else():
    found = mean([0.5])
    assert (found.mean, found.n) == (0.5, 1)
    assert found.interval(0.95) is None
    assert math.isnan(found.p)
    assert difference(found, mean([1.0, 2.0])) is None
    assert mean_of(np.array([math.nan]), LEAST_SD_OF_ACCURACY) is None


def test_what_is_missing_is_left_out():
    assert mean([1.0, math.nan, 3.0]) == mean([1.0, 3.0])


def test_no_number_of_equal_values_is_a_proof():
    """Nowhere is a p 0, or an interval a point."""
    found = mean(EQUAL.tolist())
    p_values = {
        "difference": found.p,
        "above": found.p_above(0.005),
        "within": mean([0.0] * 8).p_outside(0.005),
        "one more": one_more(found)._replace(mean=0.1).p_above(0),
    }
    assert {name for name, p in p_values.items() if not 0 < p < 1e-3} == set()
    other = difference(found, found)
    assert other is not None
    for each in (found, one_more(found), other):
        interval = each.interval(0.95)
        assert interval is not None
        assert interval.low < each.mean < interval.high


def test_equal_values_have_themselves_as_their_mean():
    assert mean([0.1] * 7).mean == 0.1, "not 0.09999999999999999"


def test_what_scatters_more_than_a_step_is_left_as_it_is():
    known = [0.7, 0.71, 0.73]
    assert mean(known).sd == pytest.approx(np.std(known, ddof=1))
    assert mean([0.7] * 3).sd == pytest.approx(LEAST_SD_OF_ACCURACY)


def test_holm_is_the_one_of_the_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(p_values)
def test_holm_is_that_of_statsmodels(p):
    adjusted = holm(p)
    assert adjusted == pytest.approx(list(multipletests(p, method="holm")[1]))
    in_order = [adjusted[index] for index in np.argsort(p, kind="stable")]
    assert in_order == sorted(in_order)


@given(p_values)
def test_levels_of_bounds_agree_with_holm(p):
    rejected = [each < 0.05 for each in holm(p)]
    assert [each < 1 - level for each, level in zip(p, holm_levels(p, 0.05), strict=True)] == (
        rejected
    )
