from __future__ import annotations

from statistics import fmean, stdev

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.observations import Observations
from harness.analysis.reproduction import (
    OverSeeds,
    Reproduction,
    prediction_interval,
    reproductions,
    rounding,
    whole_batches_accuracy,
)
from harness.spec.events import Evaluation, Window
from harness.spec.manifest import Run
from harness.spec.recipes import Published

from .runs import PUBLISHED, STEPS, cell, run_of, seeds_events

replace = msgspec.structs.replace
SEEDS = [[0.1, 0.58], [0.1, 0.61], [0.42, 0.60], [0.1, 0.63]]
"""Test accuracy after epochs 1 and 2, for four seeds; PUBLISHED has 0.1 and 0.6."""
fractions = st.lists(st.floats(0, 1, allow_nan=False), min_size=2, max_size=12)


def reproduced(run: Run) -> Reproduction:
    (found,) = reproductions(Observations(run))
    return found


def usual(published: Published = PUBLISHED) -> Run:
    events = seeds_events({"alpha": SEEDS}, plateaus=[6, 7, 2, 20])
    return run_of(events, ["alpha"], published=published)


def test_an_epoch_is_told_by_median_and_range() -> None:
    found = reproduced(usual())
    assert (found.group, found.cell) == (cell("alpha").group, cell("alpha").id)
    assert (found.recipe, found.seeds) == ("lenet-sgd", (40, 41, 42, 43))
    first, second = (each.test_accuracy for each in found.epochs)
    assert first.by_seed == pytest.approx((0.1, 0.1, 0.42, 0.1))
    assert (first.seeds, first.median, first.low, first.high) == pytest.approx((4, 0.1, 0.1, 0.42))
    assert (second.median, second.low, second.high) == pytest.approx((0.605, 0.58, 0.63))
    assert found.epochs[0].train_loss.median == pytest.approx(1.5 * STEPS / (STEPS + 2))


def test_a_published_figure_is_inside_the_range_of_seeds_or_outside() -> None:
    found = reproduced(usual())
    assert [each.test_accuracy.published for each in found.epochs] == [0.1, 0.6]
    assert [each.test_accuracy.inside_range for each in found.epochs] == [True, True]
    off = Published(source="", hardware="", test_accuracy=(0.5, 0.7), train_loss=(1.01, 1.01))
    found = reproduced(usual(off))
    assert [each.test_accuracy.inside_range for each in found.epochs] == [False, False]
    assert [each.train_loss.inside_range for each in found.epochs] == [False, False]
    assert [each.train_accuracy.inside_range for each in found.epochs] == [None, None]


def test_a_published_figure_is_known_to_its_last_digit_only() -> None:
    same = [[0.1, 0.6004]] * 3
    run = run_of(seeds_events({"alpha": same}), ["alpha"])
    assert reproduced(run).epochs[1].test_accuracy.inside_range is True  # published: 0.1, 0.6
    three_digits = Published(source="", hardware="", test_accuracy=(0.101, 0.6))
    run = run_of(seeds_events({"alpha": same}), ["alpha"], published=three_digits)
    assert reproduced(run).epochs[1].test_accuracy.inside_range is True
    four_digits = Published(source="", hardware="", test_accuracy=(0.1001, 0.6))
    run = run_of(seeds_events({"alpha": same}), ["alpha"], published=four_digits)
    assert reproduced(run).epochs[1].test_accuracy.inside_range is False
    assert rounding([0.7991, 0.8552]) == pytest.approx(5e-5)
    assert rounding([2.3193, 0.9264]) == pytest.approx(5e-5)
    assert rounding([]) == 0.5


def test_only_the_last_epoch_has_a_prediction_interval() -> None:
    first, second = (each.test_accuracy for each in reproduced(usual()).epochs)
    assert first.prediction_interval is None
    assert first.inside_prediction_interval is None
    values = [0.58, 0.61, 0.60, 0.63]
    half = stats.t.ppf(0.975, 3) * stdev(values) * (1 + 1 / 4) ** 0.5
    interval = second.prediction_interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.605 - half, 0.605 + half))
    assert interval.confidence == 0.95
    assert second.inside_prediction_interval is True


@given(values=fractions)
def test_a_prediction_interval_holds_the_mean_and_is_wider_than_that_of_the_mean(
    values: list[float],
) -> None:
    found = prediction_interval(values, 0.95)
    assert found is not None
    assert found.low <= fmean(values) + 1e-9
    assert found.high >= fmean(values) - 1e-9
    of_mean = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    assert found.high - found.low >= 2 * of_mean - 1e-9


def test_a_prediction_interval_holds_so_many_new_runs_as_it_says() -> None:
    random = np.random.RandomState(1)
    hits = 0
    for _ in range(2000):
        *seen, new = random.normal(0.75, 0.01, size=9)
        interval = prediction_interval(seen, 0.95)
        assert interval is not None
        hits += interval.low <= new <= interval.high
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)  # three standard errors


def test_one_run_has_no_interval() -> None:
    assert prediction_interval([0.7], 0.95) is None


@pytest.mark.parametrize(
    ("change", "published"),
    [({"epochs": 3}, 0.6), ({"batch_size": 64}, None), ({"epochs": 3, "batch_size": 64}, None)],
    ids=["epochs", "batch", "both"],
)
def test_a_changed_recipe_is_not_judged_and_one_of_another_batch_stands_beside_no_figures(
    change: dict[str, int], published: float | None
) -> None:
    run = usual()
    changed = [
        replace(each, recipe=each.recipe.overridden(**change)) for each in run.manifest.cells
    ]
    cells = {before.id: after.id for before, after in zip(run.manifest.cells, changed, strict=True)}
    text = msgspec.json.encode(run)
    for before, after in cells.items():
        text = text.replace(before.encode(), after.encode())
    run = replace(msgspec.json.decode(text, type=Run))
    manifest = replace(run.manifest, cells=tuple(changed))
    found = reproduced(replace(run, manifest=manifest))
    assert (found.recipe, found.comparable) == (changed[0].recipe.label, False)
    assert found.epochs[1].test_accuracy.published == published
    assert found.epochs[1].test_accuracy.inside_range is None


def test_the_arithmetic_of_whole_batches_stands_beside_the_right_one() -> None:
    whole = Published(source="", hardware="", test_accuracy=(0.0995, 0.6021), whole_batches_of=64)
    last = reproduced(usual(whole)).epochs[1]
    assert last.test_accuracy.published is None
    other = last.test_accuracy_of_whole_batches
    assert other is last.compared_test_accuracy
    assert other is not None
    # 10,000 images make 157 batches of 64, the last one of 16.
    assert other.by_seed == pytest.approx([a * 10_000 / 10_048 for _, a in SEEDS])
    assert (other.published, other.inside_range) == (0.6021, True)
    assert reproduced(usual()).epochs[1].compared_test_accuracy.published == 0.6


@pytest.mark.parametrize(
    ("correct", "examples", "size", "expected"),
    [(50, 100, 64, 50 / 128), (64, 128, 64, 0.5), (0, 0, 64, None), (5, 10, 0, None)],
)
def test_whole_batches(correct: int, examples: int, size: int, expected: float | None) -> None:
    assert whole_batches_accuracy(correct, examples, size) == expected


@given(correct=st.integers(0, 500), more=st.integers(0, 500), size=st.integers(1, 300))
def test_counting_whole_batches_never_makes_an_accuracy_larger(
    correct: int, more: int, size: int
) -> None:
    examples = correct + more
    found = whole_batches_accuracy(correct, examples, size)
    if examples:
        assert found is not None
        assert found <= correct / examples
        assert examples % size or found == correct / examples


def test_seeds_take_off_where_guessing_ends() -> None:
    found = reproduced(usual())
    assert [each.seed for each in found.takeoffs] == [40, 41, 42, 43]
    # 6, 7 and 2 windows on the plateau, five an epoch; the last seed never leaves it.
    assert [each.epoch for each in found.takeoffs] == pytest.approx([1.4, 1.6, 0.6, None])
    assert [found.on_plateau(epoch) for epoch in (0, 1, 2)] == [4, 3, 1]


def test_a_seed_that_is_still_guessing_is_in_the_range_and_in_no_normal_interval() -> None:
    stuck = [*SEEDS, [0.1, 0.1]]
    found = reproduced(run_of(seeds_events({"alpha": stuck}), ["alpha"]))
    last, without = found.epochs[1].test_accuracy, reproduced(usual()).epochs[1].test_accuracy
    assert found.guessing == (44,)
    assert (last.seeds, last.prediction_seeds, last.low) == (5, 4, 0.1)
    assert last.prediction_interval == without.prediction_interval
    assert found.epochs[1].train_loss.prediction_seeds == 4
    assert reproduced(usual()).guessing == ()


def test_below_three_seeds_that_learn_there_is_no_interval() -> None:
    stuck = [*SEEDS[:2], [0.1, 0.1]]
    last = reproduced(run_of(seeds_events({"alpha": stuck}), ["alpha"])).epochs[1].test_accuracy
    assert (last.prediction_seeds, last.prediction_interval) == (2, None)
    assert (last.inside_range, last.inside_prediction_interval) == (True, None)


@pytest.mark.parametrize("seeds", [1, 2])
def test_below_three_seeds_nothing_is_judged(seeds: int) -> None:
    run = run_of(seeds_events({"alpha": SEEDS[:seeds]}), ["alpha"])
    last = reproduced(run).epochs[1].test_accuracy
    assert (last.seeds, last.published) == (seeds, 0.6)
    assert (last.inside_range, last.inside_prediction_interval) == (None, None)


def test_a_seed_counts_once_and_failed_trials_do_not() -> None:
    events = seeds_events({"alpha": SEEDS, "beta": SEEDS[:2]})
    again = seeds_events({"alpha": [[0.9, 0.9]]})
    for event in again:
        moved = {
            name: value + 50
            for name in ("trial", "block")
            if (value := getattr(event, name, None)) is not None
        }
        if trials := getattr(event, "trials", None):
            moved["trials"] = tuple(each + 50 for each in trials)
        events.append(replace(event, **moved))
    alpha, beta = reproductions(Observations(run_of(events, ["alpha", "beta"])))
    assert alpha.epochs[1].test_accuracy.by_seed == pytest.approx([a for _, a in SEEDS])
    assert beta.seeds == (40, 41)


def test_values_that_are_not_finite_are_left_out_and_counted() -> None:
    run = usual()
    events = [
        replace(event, loss_sum=None)
        if isinstance(event, Window) and event.trial == 1100
        else replace(event, examples=0, correct=0)
        if isinstance(event, Evaluation) and event.trial == 1200
        else event
        for event in run.events
    ]
    last = reproduced(replace(run, events=events)).epochs[1]
    assert (last.train_loss.seeds, last.train_loss.by_seed[1]) == (3, None)
    assert (last.test_accuracy.seeds, last.test_accuracy.by_seed[2]) == (3, None)
    assert last.test_accuracy.median == pytest.approx(0.61)


def test_nothing_but_nothing_has_no_statistics() -> None:
    run = usual()
    events = [
        replace(event, examples=0) if isinstance(event, Evaluation) else event
        for event in run.events
    ]
    last = reproduced(replace(run, events=events)).epochs[1].test_accuracy
    assert last == OverSeeds(
        by_seed=(None,) * 4,
        seeds=0,
        median=None,
        low=None,
        high=None,
        published=0.6,
        inside_range=None,
        prediction_seeds=0,
        prediction_interval=None,
        inside_prediction_interval=None,
    )


def test_short_trials_reproduce_nothing() -> None:
    assert reproductions(Observations(run_of([], ["alpha"]))) == ()
