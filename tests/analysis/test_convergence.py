from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from harness.analysis.convergence import Convergence, Paired, convergences, seeds_to_settle
from harness.analysis.spread import LEAST_SD_OF_ACCURACY_DIFFERENCE
from harness.spec.events import Hashes, Run, TrialFinished

from .runs import HASHES, cell, long_events, run_of, seeds_events

replace = msgspec.structs.replace
BASE = [0.741, 0.752, 0.747, 0.758, 0.744, 0.761, 0.749, 0.755]
points = st.lists(
    st.integers(-300, 300).map(lambda hits: hits / 10_000), min_size=3, max_size=15
).filter(lambda values: float(np.std(values, ddof=1)) > LEAST_SD_OF_ACCURACY_DIFFERENCE)


def trained(**differences: Sequence[float]) -> Run:
    """Alpha at BASE, and others at so many points from it."""
    rows = {"alpha": [[value] for value in BASE]}
    for name, values in differences.items():
        rows[name] = [[value + each / 100] for value, each in zip(BASE, values, strict=False)]
    return run_of(seeds_events(rows), ["alpha", *differences])


def compared(run: Run) -> Convergence:
    (found,) = convergences(run)
    return found


def test_small_differences_are_equivalent_though_no_seed_agrees() -> None:
    found = compared(trained(beta=[0.1, -0.2, 0.15, 0.05, -0.1, 0.2, -0.05, 0.1]))
    assert (found.cell, found.against) == (cell("beta").id, cell("alpha").id)
    assert (found.word, found.reason, found.epoch) == ("equivalent", "equivalence", 1)
    assert found.seeds == tuple(range(40, 48))
    assert found.difference == pytest.approx(0.0003125)
    assert found.interval is not None
    assert found.interval.confidence == pytest.approx(0.9)
    assert -0.005 < found.interval.low < found.difference < found.interval.high < 0.005
    assert found.differences == pytest.approx(
        [0.001, -0.002, 0.0015, 0.0005, -0.001, 0.002, -0.0005, 0.001]
    )


def test_seeds_with_which_neither_learns_are_left_out_and_told() -> None:
    rows = {
        "alpha": [[0.1], [0.7], [0.1], [0.7]],
        "beta": [[0.1], [0.7], [0.7], [0.1]],
    }
    found = compared(run_of(seeds_events(rows), ["alpha", "beta"]))
    assert (found.seeds, found.both_guessing) == ((41, 42, 43), (40,))
    assert len(found.differences) == 3
    assert compared(trained(beta=[0.0] * 8)).both_guessing == ()


def test_that_both_always_guess_proves_nothing() -> None:
    """All at .1000: the same accuracy in every seed, and no accuracy to which anything trains."""
    rows = {name: [[0.1]] * 8 for name in ("alpha", "beta")}
    found = compared(run_of(seeds_events(rows), ["alpha", "beta"]))
    assert (found.word, found.reason, found.seeds) == (None, "too_few_seeds", ())
    assert (found.p_equivalence, found.p_difference, found.interval) == (None, None, None)
    assert len(found.both_guessing) == 8


def test_large_differences_are_different() -> None:
    found = compared(trained(beta=[1.0, 1.2, 0.9, 1.1, 1.05, 0.95, 1.0, 1.1]))
    assert (found.word, found.reason) == ("different", "difference")
    assert found.p_difference_adjusted is not None
    assert found.p_difference_adjusted < 1e-6
    assert found.seeds_to_settle is None


def test_what_scatters_is_inconclusive_and_says_how_many_seeds_it_would_take() -> None:
    found = compared(trained(beta=[1.0, -0.9, 0.2, 0.5, -0.7, 1.1, -0.3, 0.1]))
    assert (found.word, found.reason) == ("inconclusive", "not_settled")
    assert found.seeds_to_settle is not None
    assert 8 < found.seeds_to_settle <= 1000


def test_the_same_accuracy_in_all_seeds_is_equivalent() -> None:
    found = compared(trained(beta=[0.0] * 8))
    assert (found.word, found.difference) == ("equivalent", 0.0)
    assert found.interval is not None
    # No narrower than what one image in 4,000 hides.
    assert 0 < found.interval.high == -found.interval.low < 1 / 4000
    assert found.p_equivalence is not None
    assert 0 < found.p_equivalence < 1e-6
    assert found.p_difference == 1.0


@pytest.mark.parametrize(
    ("every", "word"), [(0.3, "equivalent"), (-0.3, "equivalent"), (0.8, "different")]
)
def test_the_same_difference_in_all_seeds_leaves_no_doubt(every: float, word: str) -> None:
    assert compared(trained(beta=[every] * 8)).word == word


@pytest.mark.parametrize("seeds", [1, 2])
def test_below_three_seeds_there_are_numbers_and_no_word(seeds: int) -> None:
    found = compared(trained(beta=[0.1, 0.2][:seeds]))
    assert (found.word, found.reason, len(found.seeds)) == (None, "too_few_seeds", seeds)
    assert found.difference is not None
    assert (found.interval is None) == (seeds == 1)
    assert found.p_equivalence is None


def test_three_seeds_are_enough() -> None:
    assert compared(trained(beta=[0.01, 0.02, 0.0])).word == "equivalent"


def test_pairs_without_a_common_seed_have_no_numbers() -> None:
    events = long_events({"alpha": [0.7]}, block=0, seed=1)
    events += long_events({"beta": [0.7]}, block=1, seed=2, first_trial=2000)
    found = compared(run_of(events, ["alpha", "beta"]))
    assert (found.reason, found.seeds, found.difference) == ("too_few_seeds", (), None)


def test_seeds_are_paired_and_not_pooled() -> None:
    """Between seeds accuracies differ by far more than the two frameworks do within one."""
    far = [0.60, 0.80, 0.65, 0.75, 0.70]
    rows = {
        "alpha": [[value] for value in far],
        "beta": [[value + 0.0005 * (-1) ** i] for i, value in enumerate(far)],
    }
    assert compared(run_of(seeds_events(rows), ["alpha", "beta"])).word == "equivalent"


def test_the_last_epoch_counts_and_a_seed_that_ended_early_does_not() -> None:
    rows = {"alpha": [[0.1, 0.7]] * 4, "beta": [[0.5, 0.7]] * 3 + [[0.5]]}
    found = compared(run_of(seeds_events(rows), ["alpha", "beta"]))
    assert (found.epoch, found.seeds, found.word) == (2, (40, 41, 42), "equivalent")


def test_what_may_not_be_compared_has_no_numbers() -> None:
    run = trained(beta=[0.0] * 8)
    failed = run_of(run.events[3:-1], ["alpha", "beta"], worst={"beta": 1e-3})
    found = compared(failed)
    assert (found.word, found.reason, found.difference) == (None, "not_comparable", None)
    assert "loss at step 5" in found.detail
    other = Hashes(data=HASHES.data, weights="0" * 64, order=HASHES.order)
    events = [
        replace(event, hashes=other)
        if isinstance(event, TrialFinished) and event.trial == 1001
        else event
        for event in run.events
    ]
    found = compared(replace(run, events=events))
    assert found.reason == "not_comparable"
    assert found.detail.startswith("block 0: weights")


def test_loaders_have_an_order_of_their_own() -> None:
    run = trained(beta=[0.0] * 8)
    cells = [replace(each, input="loader") for each in run.manifest.cells]
    text = msgspec.json.encode(run).replace(b"/resident/", b"/loader-0w/")
    run = msgspec.json.decode(text, type=Run)
    run = replace(run, manifest=replace(run.manifest, cells=tuple(cells)))
    assert convergences(run) == ()


def test_all_pairs_of_a_run_are_one_family() -> None:
    run = trained(
        beta=[0.9, 1.3, 0.2, 1.9, 0.4, 1.6, 0.3, 1.1],
        gamma=[0.5, 0.9, 0.1, 1.2, 0.3, 0.8, 0.2, 0.6],
    )
    found = convergences(run)
    assert [(each.cell, each.against) for each in found] == [
        (cell("beta").id, cell("alpha").id),
        (cell("gamma").id, cell("alpha").id),
        (cell("gamma").id, cell("beta").id),
    ]
    for each in found:
        assert each.p_difference is not None
        assert each.p_difference_adjusted is not None
        assert each.p_difference <= each.p_difference_adjusted <= 3 * each.p_difference


@given(values=points)
def test_the_tests_are_those_of_statsmodels(values: list[float]) -> None:
    paired, known = Paired(np.array(values)), DescrStatsW(values)
    assert paired.p_equivalence == pytest.approx(known.ttost_mean(-0.005, 0.005)[0], abs=1e-12)
    assert paired.p_difference == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=1e-12)
    interval = paired.interval(0.9)
    assert (interval.low, interval.high) == pytest.approx(known.tconfint_mean(alpha=0.1))
    inside = interval.low > -0.005 and interval.high < 0.005
    assert inside == (paired.p_equivalence < 0.05)


@given(values=points)
def test_the_other_way_round_it_is_the_same(values: list[float]) -> None:
    one, other = Paired(np.array(values)), Paired(-np.array(values))
    assert one.p_equivalence == pytest.approx(other.p_equivalence)
    assert one.p_difference == pytest.approx(other.p_difference)
    assert seeds_to_settle(one, 3) == seeds_to_settle(other, 3)


def test_seeds_to_settle_are_the_first_that_would() -> None:
    values = np.array([0.01, -0.009, 0.002, 0.005, -0.007, 0.011, -0.003, 0.001])
    needed = seeds_to_settle(Paired(values), 1)
    sd, mean = values.std(ddof=1), values.mean()

    def settled(n: int) -> bool:
        half = stats.t.ppf(0.95, n - 1) * sd / n**0.5
        wide = stats.t.ppf(0.975, n - 1) * sd / n**0.5
        return abs(mean) + half < 0.005 or wide < abs(mean)

    assert settled(needed)
    assert not settled(needed - 1)
    assert seeds_to_settle(Paired(np.array([0.9, -0.9, 0.9, -0.9])), 1) == 1001


def test_tost_errs_no_more_often_than_it_says() -> None:
    """At a true difference of just 0.5 points, equivalence is claimed in at most 5 %."""
    random = np.random.RandomState(3)
    claims = sum(
        Paired(random.normal(0.005, 0.004, size=8)).p_equivalence < 0.05 for _ in range(2000)
    )
    assert claims / 2000 <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5
