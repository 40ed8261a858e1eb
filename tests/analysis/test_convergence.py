from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from harness.analysis.convergence import Convergence, convergences
from harness.analysis.observations import Observations
from harness.spec.events import TrialFinished
from harness.spec.manifest import Run
from harness.spec.proof_events import Hashes

from .runs import HASHES, cell, long_events, run_of, seeds_events

replace = msgspec.structs.replace
BASE = [0.741, 0.752, 0.747, 0.758, 0.744, 0.761, 0.749, 0.755]


def trained(**differences: Sequence[float]) -> Run:
    """Alpha at BASE, and others at so many points from it."""
    rows = {"alpha": [[value] for value in BASE]}
    for name, values in differences.items():
        rows[name] = [[value + each / 100] for value, each in zip(BASE, values, strict=False)]
    return run_of(seeds_events(rows), ["alpha", *differences])


def compared(run: Run) -> Convergence:
    (found,) = convergences(Observations(run))
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
    assert convergences(Observations(run)) == ()


def test_all_pairs_of_a_run_are_one_family() -> None:
    run = trained(
        beta=[0.9, 1.3, 0.2, 1.9, 0.4, 1.6, 0.3, 1.1],
        gamma=[0.5, 0.9, 0.1, 1.2, 0.3, 0.8, 0.2, 0.6],
    )
    found = convergences(Observations(run))
    assert [(each.cell, each.against) for each in found] == [
        (cell("beta").id, cell("alpha").id),
        (cell("gamma").id, cell("alpha").id),
        (cell("gamma").id, cell("beta").id),
    ]
    for each in found:
        assert each.p_difference is not None
        assert each.p_difference_adjusted is not None
        assert each.p_difference <= each.p_difference_adjusted <= 3 * each.p_difference
