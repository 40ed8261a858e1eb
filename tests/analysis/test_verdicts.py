from __future__ import annotations

import math
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.analysis.estimate import LEAST_SD_OF_LOG_RATE, Estimate
from harness.analysis.judgement import Look, Verdict, mirrored
from harness.analysis.observations import Observations
from harness.analysis.protocol import planned_looks, rule_at, word
from harness.analysis.verdicts import groups_to_continue, judge
from harness.spec.events import BlockFinished, TrialFinished
from harness.spec.manifest import Run
from harness.spec.proof_events import Hashes

from .golden import TWIN, A, B, C, failed_cell, look_2_decides, parity_failed
from .runs import HASHES, Contender, Logs, cell, noise, run_of, short_events, speed_run

ONE_LOOK = Look(blocks=5, difference_alpha=0.01, equivalence_alpha=0.05)


def steady(blocks: int = 5, **shifts: float) -> dict[Contender, Logs]:
    """The reference, its second copy, and others that are ``shifts`` faster, at little noise."""
    logs = {A: noise(1, blocks, 2, 0.01), TWIN: noise(2, blocks, 2, 0.01)}
    for seed, (framework, shift) in enumerate(shifts.items(), start=3):
        logs[Contender(framework)] = noise(seed, blocks, 2, 0.01, shift=shift)
    return logs


def first(run: Run, blocks: int) -> Run:
    """``run``, stopped after as many short blocks."""
    events = list(run.events)
    ends = [i for i, event in enumerate(events) if isinstance(event, BlockFinished)]
    return Run(manifest=run.manifest, events=events[: ends[blocks - 1] + 1] if blocks else [])


def only(run: Run) -> Verdict:
    (verdict,) = judge(Observations(run)).verdicts
    return verdict


def test_two_looks_share_the_errors_of_one() -> None:
    plan = speed_run(steady(beta=0.1), looks=(10, 20)).manifest.plan
    assert [msgspec.structs.astuple(each) for each in planned_looks(plan)] == [
        (10, 0.005, 0.025),
        (20, 0.005, 0.025),
    ]
    plan = speed_run(steady(beta=0.1), looks=(7,)).manifest.plan
    assert [msgspec.structs.astuple(each) for each in planned_looks(plan)] == [(7, 0.01, 0.05)]


def estimate(mean: float, sd: float, blocks: int) -> Estimate:
    error = max(sd, LEAST_SD_OF_LOG_RATE) / math.sqrt(blocks)
    return Estimate(mean, error, blocks - 1, blocks)


def with_blocks(found: Estimate, blocks: int) -> Estimate:
    return estimate(found.mean, found.sd, blocks)


def test_equivalence_goes_before_difference() -> None:
    of = estimate(0.02, 0.005, 10)
    assert of.p < 1e-5
    assert word(of, of.p, ONE_LOOK) == "equivalent"


@pytest.mark.parametrize(("mean", "expected"), [(0.2, "faster"), (-0.2, "slower")])
def test_a_difference_has_a_direction(mean: float, expected: str) -> None:
    assert word(estimate(mean, 0.05, 10), 0.0099, ONE_LOOK) == expected
    assert word(estimate(mean, 0.05, 10), 0.01, ONE_LOOK) == "inconclusive"


def test_bounds_of_equivalence_are_the_same_both_ways() -> None:
    bound = math.log(1.03)
    for mean in (bound - 1e-6, 1e-6 - bound):
        assert word(estimate(mean, 0.0, 10), 0.0, ONE_LOOK) == "equivalent"
    for mean in (bound + 1e-9, -bound - 1e-9):
        assert word(estimate(mean, 0.0, 10), 0.0, ONE_LOOK) in ("faster", "slower")


def test_the_number_of_blocks_that_settles_does_settle() -> None:
    of = estimate(0.06, 0.08, 5)
    needed = rule_at(ONE_LOOK).values_to_settle(of, family=1)
    enough, short = with_blocks(of, needed), with_blocks(of, needed - 1)
    assert word(enough, enough.p, ONE_LOOK) == "faster"
    assert word(short, short.p, ONE_LOOK) == "inconclusive"

    of = estimate(0.005, 0.04, 5)
    needed = rule_at(ONE_LOOK).values_to_settle(of, family=1)
    assert word(with_blocks(of, needed), 1.0, ONE_LOOK) == "equivalent"
    assert word(with_blocks(of, needed - 1), 1.0, ONE_LOOK) == "inconclusive"


def test_numbers_of_blocks_end_at_a_thousand() -> None:
    assert rule_at(ONE_LOOK).values_to_settle(estimate(math.log(1.03), 10.0, 5), family=1) == 1001


def test_the_noise_floor_stands_beside_every_verdict() -> None:
    judgement = judge(Observations(speed_run(steady(beta=0.2, gamma=0.4))))
    floor = judgement.groups[0].noise_floor
    assert floor is not None
    assert floor.interval is not None
    assert floor.interval.low < 1 < floor.interval.high
    assert {each.noise_floor for each in judgement.verdicts} == {floor.interval}


def test_a_failed_aa_makes_all_groups_inconclusive() -> None:
    bad, good = steady(beta=0.2), steady(beta=0.2)
    bad[TWIN] = bad[TWIN] + 0.2
    events = [*short_events(bad), *short_events(good, recipe="lenet-adam", first_trial=500)]
    judgement = judge(
        Observations(run_of(events, ["alpha", "beta"], recipes=["lenet-sgd", "lenet-adam"]))
    )
    assert [each.noise_floor.failed for each in judgement.groups if each.noise_floor] == [
        True,
        False,
    ]
    assert [(each.verdict, each.reason) for each in judgement.verdicts] == [
        ("inconclusive", "aa_failed")
    ] * 2
    assert all(each.tiers == () for each in judgement.groups)


def test_a_failed_aa_goes_before_failed_parity() -> None:
    logs = steady(beta=0.2)
    logs[TWIN] = logs[TWIN] + 0.2
    verdict = only(speed_run(logs, worst={"beta": 1.0}))
    assert (verdict.verdict, verdict.reason) == ("inconclusive", "aa_failed")
    assert verdict.times_faster is None


def test_an_aa_that_failed_at_the_first_look_stays_failed() -> None:
    logs = steady(20, beta=0.2)
    logs[TWIN][:10] += 0.2
    logs[TWIN][10:] -= 0.2
    run = speed_run(logs, looks=(10, 20))
    assert not groups_to_continue(Observations(first(run, 10)))
    assert only(run).reason == "aa_failed"


def test_an_aa_that_fails_at_the_second_look_overrules_the_first() -> None:
    logs = steady(20, beta=0.5)
    logs[TWIN][:10] += np.where(np.arange(10) % 2, 0.2, -0.1)[:, None]
    logs[TWIN][10:] += 0.2
    run = speed_run(logs, looks=(10, 20))
    assert only(first(run, 10)).verdict == "faster"
    assert only(run).reason == "aa_failed"


def test_families_span_groups() -> None:
    events = [
        *short_events(steady(beta=0.05)),
        *short_events(steady(beta=0.05), recipe="lenet-adam", first_trial=500),
    ]
    run = run_of(events, ["alpha", "beta"], recipes=["lenet-sgd", "lenet-adam"])
    for verdict in judge(Observations(run)).verdicts:
        assert verdict.p is not None
        assert verdict.p_adjusted == pytest.approx(2 * verdict.p)


def test_a_pair_without_measurements_still_counts_in_the_family() -> None:
    judgement = judge(Observations(failed_cell()))
    verdict = judgement.verdicts[0]
    assert verdict.p is not None
    assert verdict.p_adjusted == pytest.approx(3 * verdict.p)
    assert verdict.blocks == 5
    assert judgement.verdicts[1].detail.endswith("ImportError: no such library")


def test_what_may_not_be_compared_has_no_ratio_and_no_place_in_the_family() -> None:
    verdicts = judge(Observations(parity_failed())).verdicts
    assert verdicts[0].p == verdicts[0].p_adjusted
    assert [each.status for each in verdicts] == ["judged", "not_comparable", "not_comparable"]
    assert [each.times_faster for each in verdicts[1:]] == [None, None]


def test_a_cell_that_was_never_verified_is_not_comparable() -> None:
    verdict = only(speed_run(steady(beta=0.2), unverified=["beta"]))
    assert (verdict.status, verdict.reason) == ("not_comparable", "parity_missing")


def test_a_cell_on_another_device_is_not_comparable() -> None:
    verdict = only(speed_run(steady(beta=0.2), devices={"beta": "gpu:0"}))
    assert (verdict.status, verdict.reason) == ("not_comparable", "device_differs")
    assert verdict.detail == f"{cell('beta').id}: on gpu:0"


def test_a_cell_whose_results_were_on_another_device_is_not_comparable() -> None:
    run = speed_run(steady(beta=0.2))
    events = [
        msgspec.structs.replace(event, result_device="gpu:0")
        if isinstance(event, TrialFinished) and event.trial % 3 == 2
        else event
        for event in run.events
    ]
    verdict = only(Run(manifest=run.manifest, events=events))
    assert (verdict.status, verdict.reason) == ("not_comparable", "device_differs")


@pytest.mark.parametrize("name", ["data", "weights", "order"])
def test_other_hashes_are_named_and_only_their_pairs_are_barred(name: str) -> None:
    other = msgspec.structs.replace(HASHES, **{name: "0" * 64})
    run = speed_run(steady(beta=0.2, gamma=0.4), hashes={"gamma": other})
    verdicts = judge(Observations(run)).verdicts
    assert [each.reason for each in verdicts] == ["difference", "hashes_differ", "hashes_differ"]
    assert verdicts[1].detail == (
        f"block 0: {name} {getattr(HASHES, name)[:12]} of {cell('alpha').id}, "
        f"000000000000 of {cell('gamma').id}"
    )


def test_the_order_is_not_compared_where_numbers_of_steps_differ() -> None:
    logs = steady(beta=0.2)
    logs[B] = logs[B][:, :1]
    other = Hashes(data=HASHES.data, weights=HASHES.weights, order="0" * 64)
    assert only(speed_run(logs, hashes={"beta": other})).verdict == "faster"


def test_the_earliest_look_that_decides_a_pair_counts() -> None:
    run = look_2_decides()
    at_first, at_second = (
        judge(Observations(first(run, 10))).verdicts,
        judge(Observations(run)).verdicts,
    )
    assert [each.verdict for each in at_first] == ["inconclusive", "faster", "faster"]
    assert [each.verdict for each in at_second] == ["faster"] * 3
    assert [each.look.blocks for each in at_second if each.look] == [20, 10, 10]
    assert at_second[1].times_faster == at_first[1].times_faster


def test_runs_go_on_only_while_a_pair_is_open() -> None:
    run = look_2_decides()
    group = run.manifest.plan.groups[0].name
    assert [bool(groups_to_continue(Observations(first(run, n)))) for n in (0, 9, 10, 15, 20)] == [
        True, True, True, True, False,
    ]  # fmt: skip
    assert groups_to_continue(Observations(first(run, 10))) == (group,)
    decided = speed_run(steady(10, beta=0.2), looks=(10, 20))
    assert not groups_to_continue(Observations(decided))


def test_runs_without_aa_end_at_their_first_look() -> None:
    logs = steady(10, beta=0.01)
    del logs[TWIN]
    assert not groups_to_continue(Observations(speed_run(logs, looks=(10, 20))))


def test_a_group_whose_second_copy_never_ran_has_no_verdict() -> None:
    logs = steady(beta=0.2)
    logs[TWIN][:] = np.nan
    verdict = only(speed_run(logs))
    assert (verdict.status, verdict.reason) == ("indicative", "no_noise_floor")


def test_before_the_first_look_numbers_are_indicative() -> None:
    run = first(speed_run(steady(10, beta=0.2), looks=(10, 20)), 7)
    verdict = only(run)
    assert (verdict.status, verdict.reason, verdict.blocks) == ("indicative", "look_not_reached", 7)
    assert verdict.verdict is None
    assert verdict.p is None
    assert judge(Observations(run)).groups[0].tiers == ()


def test_a_pair_with_too_few_blocks_of_its_own_is_indicative() -> None:
    logs = steady(10, beta=0.2)
    logs[B][:6] = np.nan
    run = speed_run(logs, looks=(10, 20))
    verdict = only(run)
    assert (verdict.status, verdict.reason, verdict.blocks) == ("indicative", "too_few_blocks", 4)
    assert groups_to_continue(Observations(run))


def test_an_empty_run_says_nothing_and_breaks_nothing() -> None:
    judgement = judge(Observations(first(speed_run(steady(beta=0.2)), 0)))
    assert [each.status for each in judgement.verdicts] == ["not_comparable"]
    assert judgement.rates == ()


def test_tiers_hold_what_cannot_be_told_apart() -> None:
    logs = steady(6, beta=0.5, gamma=0.5)
    logs[C] = logs[B] + 0.001
    judgement = judge(Observations(speed_run(logs, looks=(6,))))
    assert judgement.groups[0].tiers == ((cell("beta").id, cell("gamma").id), (cell("alpha").id,))


def test_stalls_of_everybody_are_nobodys() -> None:
    logs = {each: np.zeros((5, 5)) + noise(i, 5, 5, 0.01) for i, each in enumerate((A, TWIN, B))}
    for rows in logs.values():
        rows[:, 1] -= 1.2
    judgement = judge(Observations(speed_run(logs)))
    assert judgement.contender_flags == ()
    assert judgement.verdicts[0].stalling is None


shifts = st.floats(-0.3, 0.3, allow_nan=False).map(lambda value: round(value, 4))
rows_ = st.lists(st.tuples(shifts, shifts), min_size=5, max_size=7)


@st.composite
def two_contenders(draw: st.DrawFn) -> dict[Contender, Logs]:
    alpha = np.array(draw(rows_))
    beta = np.array(
        draw(st.lists(st.tuples(shifts, shifts), min_size=len(alpha), max_size=len(alpha)))
    )
    return {A: alpha, B: beta, TWIN: alpha + noise(1, len(alpha), 2, 0.001)}


def close(one: Verdict, other: Verdict) -> bool:
    """Whether all but the last digits are the same."""

    def flat(value: object) -> list[object]:
        if isinstance(value, dict):
            return [each for part in value.values() for each in flat(part)]
        if isinstance(value, list | tuple):
            return [each for part in value for each in flat(part)]
        return [value]

    pairs = zip(flat(msgspec.to_builtins(one)), flat(msgspec.to_builtins(other)), strict=True)
    return all(
        a == pytest.approx(b, rel=1e-6, abs=1e-9) if isinstance(a, float) else a == b
        for a, b in pairs
    )


@settings(max_examples=60)
@given(two_contenders())
def test_exchanging_two_contenders_mirrors_their_verdict(logs: dict[Contender, Logs]) -> None:
    run = speed_run(logs, looks=(5,))
    (group,) = run.manifest.plan.groups
    plan = msgspec.structs.replace(
        run.manifest.plan, groups=(msgspec.structs.replace(group, cells=group.cells[::-1]),)
    )
    exchanged = Run(manifest=msgspec.structs.replace(run.manifest, plan=plan), events=run.events)
    assert close(mirrored(only(exchanged)), only(run))


@settings(max_examples=60)
@given(two_contenders(), st.floats(-3, 3))
def test_a_machine_that_is_faster_for_all_changes_no_verdict(
    logs: dict[Contender, Logs], shift: float
) -> None:
    # Without any spread p is that of rounding errors.
    assume(np.median(logs[B] - logs[A], axis=1).std() > 1e-3)
    scaled = {contender: rows + shift for contender, rows in logs.items()}
    assert close(only(speed_run(scaled)), only(speed_run(logs)))


@settings(max_examples=40)
@given(two_contenders(), st.randoms(use_true_random=False))
def test_the_order_of_events_within_a_block_changes_nothing(
    logs: dict[Contender, Logs], random: Random
) -> None:
    run = speed_run(logs)
    events = list(run.events)
    ends = [i for i, event in enumerate(events) if isinstance(event, BlockFinished)]
    start = 3
    for end in ends:
        part = events[start:end]
        random.shuffle(part)
        events[start:end] = part
        start = end + 1
    assert judge(Observations(Run(manifest=run.manifest, events=events))) == judge(
        Observations(run)
    )
