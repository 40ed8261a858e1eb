from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.frames import rates_frame, windows_frame
from harness.analysis.judgement import Word
from harness.analysis.observations import Observations
from harness.analysis.sweeps import Sweep, order_of, sweeps
from harness.analysis.verdicts import judge
from harness.spec.manifest import Run

from .golden import A, B
from .runs import USUAL_RATE, Contender, Logs, noise, run_of, short_events

TWIN = Contender("alpha", True)
WORDS: tuple[Word | None, ...] = ("faster", "slower", "equivalent", "inconclusive", None)


def swept(
    speeds: Mapping[tuple[int, int], Mapping[str, float]],
    *,
    blocks: int = 6,
    frameworks: Sequence[str] = ("alpha", "beta"),
    **changes: object,
) -> Run:
    """A run with a group for each (batch size, threads): by framework, how many times the usual
    rate it reached there."""
    events = []
    for number, ((batch_size, threads), by_framework) in enumerate(speeds.items()):
        logs: dict[Contender, Logs] = {
            contender: noise(
                10 * number + seed,
                blocks,
                3,
                0.01,
                shift=math.log(by_framework[contender.framework]),
            )
            for seed, contender in enumerate((A, TWIN, B))
            if contender.framework in by_framework
        }
        events += short_events(
            logs, batch_size=batch_size, threads=threads, first_trial=1000 * number
        )
    return run_of(
        events,
        frameworks,
        batch_sizes=sorted({batch for batch, _ in speeds}),
        threads=sorted({threads for _, threads in speeds}),
        **changes,  # type: ignore[arg-type]
    )


def only(run: Run) -> Sweep:
    (found,) = sweeps(Observations(run))
    return found


CROSSING = {
    (32, 1): {"alpha": 1.0, "beta": 0.8},
    (32, 2): {"alpha": 1.6, "beta": 1.5},
    (256, 1): {"alpha": 1.2, "beta": 1.4},
    (256, 2): {"alpha": 2.4, "beta": 2.1},
}


def test_a_line_has_each_contenders_rate_at_every_combination() -> None:
    run = swept(CROSSING)
    found = only(run)
    assert (found.recipe, found.input, found.device) == ("lenet-sgd", "resident", "cpu")
    assert (found.batch_sizes, found.threads) == ((32, 256), (1, 2))
    alpha, beta = found.lines
    assert (alpha.contender, beta.contender) == ("alpha-1.0/eager", "beta-1.0/eager")
    places = [(point.batch_size, point.threads) for point in alpha.points]
    assert places == [(32, 1), (32, 2), (256, 1), (256, 2)]
    for line, name in ((alpha, "alpha"), (beta, "beta")):
        for point in line.points:
            expected = USUAL_RATE * CROSSING[point.batch_size, point.threads][name]
            assert point.examples_per_second == pytest.approx(expected, rel=0.03)
            assert point.interval is not None
            assert point.interval.low < point.examples_per_second < point.interval.high
            assert point.blocks == 6
    assert alpha.points[0].group == "lenet-sgd+batch_size=32/resident/cpu-1t"


def test_efficiency_is_the_rate_over_what_it_would_be_if_it_grew_as_threads_do() -> None:
    alpha, beta = only(swept(CROSSING)).lines
    assert [point.efficiency for point in alpha.points] == pytest.approx([1, 0.8, 1, 1.0], rel=0.03)
    assert beta.points[3].efficiency == pytest.approx(2.1 / 1.4 / 2, rel=0.03)
    for point in (alpha.points[1], beta.points[3]):
        known = point.efficiency_interval
        assert known is not None and point.efficiency is not None
        assert 0.97 * known.high < point.efficiency < 1.03 * known.low
        assert known.low < point.efficiency < known.high
    # The fewest threads are what the others are held against: they are 1 by definition.
    assert alpha.points[0].efficiency_interval is None
    [one_block, *_] = only(swept(CROSSING, blocks=1)).lines
    assert one_block.points[1].efficiency is not None
    assert one_block.points[1].efficiency_interval is None


def test_efficiency_goes_from_the_fewest_threads_that_were_measured() -> None:
    rates = {(256, 2): {"alpha": 1.0, "beta": 1.0}, (256, 8): {"alpha": 2.0, "beta": 4.0}}
    alpha, beta = only(swept(rates)).lines
    assert alpha.points[1].efficiency == pytest.approx(0.5, rel=0.03)
    assert beta.points[1].efficiency == pytest.approx(1.0, rel=0.03)
    batches = {(32, 2): {"alpha": 1.0, "beta": 1.0}, (64, 2): {"alpha": 1.0, "beta": 1.0}}
    assert all(
        point.efficiency is None for line in only(swept(batches)).lines for point in line.points
    )


def test_what_a_group_says_of_a_pair_is_what_the_sweep_says_there() -> None:
    run = Observations(swept(CROSSING))
    (found,) = sweeps(run)
    (pair,) = found.pairs
    assert (pair.contender, pair.against, pair.order) == (
        "beta-1.0/eager",
        "alpha-1.0/eager",
        "changes",
    )
    assert [each.verdict for each in pair.at] == ["slower", "slower", "faster", "slower"]
    judged = {verdict.group: verdict for verdict in judge(run).verdicts}
    assert pair.at[2].times_faster == judged["lenet-sgd/resident/cpu-1t"].times_faster


def test_a_cell_that_may_not_be_compared_or_was_not_measured_has_no_point() -> None:
    failed = swept(CROSSING, unverified=("beta",))
    found = only(failed)
    assert [line.contender for line in found.lines] == ["alpha-1.0/eager"]
    assert all(each.verdict is None for pair in found.pairs for each in pair.at)
    lacking = {**CROSSING, (32, 1): {"alpha": 1.0}}
    alpha, beta = only(swept(lacking)).lines
    assert (len(alpha.points), len(beta.points)) == (4, 3)
    # Without the fewest threads there is nothing to hold the others against.
    assert beta.points[0].efficiency is None
    assert beta.points[2].efficiency is not None


def test_one_batch_and_one_number_of_threads_are_no_sweep() -> None:
    flat = {A: np.zeros((5, 3)), B: np.zeros((5, 3))}
    assert sweeps(Observations(run_of(short_events(flat), ["alpha", "beta"]))) == ()
    assert sweeps(Observations(run_of([], ["alpha"], batch_sizes=(32, 256)))) == ()
    two_recipes = run_of(
        [*short_events(flat), *short_events(flat, recipe="lenet-adam", first_trial=500)],
        ["alpha", "beta"],
        recipes=("lenet-sgd", "lenet-adam"),
    )
    assert sweeps(Observations(two_recipes)) == ()
    impossible = swept(
        {(256, 0): {"alpha": 1.0, "beta": 1.0}, (256, 2): {"alpha": 1.0, "beta": 1.0}}
    )
    assert sweeps(Observations(impossible)) == ()


def test_frames_have_batch_size_and_threads_in_columns_of_their_own() -> None:
    run = Observations(swept(CROSSING))
    for frame in (rates_frame(run), windows_frame(run)):
        places = frame[["batch_size", "threads"]].drop_duplicates()
        assert sorted(map(tuple, places.to_numpy())) == sorted(CROSSING)
    by_place = rates_frame(run).query("framework == 'beta'").set_index(["batch_size", "threads"])
    expected = CROSSING[256, 1]["beta"] * USUAL_RATE
    assert by_place.loc[(256, 1), "examples_per_second"] == pytest.approx(expected, rel=0.03)


@given(st.lists(st.sampled_from(WORDS)))
def test_an_order_changes_only_between_two_verdicts_and_keeps_only_where_all_agree(words) -> None:
    order = order_of(words)
    assert (order == "changes") == ("faster" in words and "slower" in words)
    if order == "keeps":
        assert len(set(words)) == 1
    opposite: dict[Word | None, Word] = {"faster": "slower", "slower": "faster"}
    assert order_of([opposite.get(word, word) for word in words]) == order
