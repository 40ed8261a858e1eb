"""Load from outside, which taking turns does not cancel: what it may decide is left open."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest

from harness.analysis.flags import window_flags
from harness.analysis.foreign import wanted_cpus
from harness.analysis.judgement import Verdict
from harness.analysis.observations import Observations
from harness.analysis.trials import finished_blocks
from harness.analysis.verdicts import groups_to_continue, judge
from harness.spec.events import GpuReading, TrialStarted, Window
from harness.spec.manifest import Run

from .golden import TWIN, A, B
from .runs import CORES, Contender, Logs, cell, noise, on_gpu, run_of, short_events, speed_run

BLOCKS, ROUNDS = 10, 4
Taken = Mapping[Contender, Logs]
"""Contender → (blocks, rounds): CPUs that others had while it ran."""


def everywhere(cpus: float) -> Taken:
    return {each: np.full((BLOCKS, ROUNDS), cpus) for each in (A, TWIN, B)}


def spread(seed: int, mean: float, sd: float) -> Taken:
    random = np.random.RandomState(seed)
    return {each: random.normal(mean, sd, (BLOCKS, ROUNDS)) for each in (A, TWIN, B)}


def beside(run: Run, taken: Taken) -> Run:
    """``run`` as if others had had so much of its CPUs; the contenders used what was left."""
    started = {event.trial: event for event in run.events if isinstance(event, TrialStarted)}
    events = []
    for event in run.events:
        if isinstance(event, Window):
            trial = started[event.trial]
            of = Contender(trial.cell.split("/")[1].rpartition("-")[0], trial.twin)
            had = float(CORES - taken[of][trial.block, event.round]) * event.wall_seconds
            # A twentieth of its time a thread waits for the other: the CPU is idle then.
            event = msgspec.structs.replace(event, cpu_seconds=0.95 * had, idle_seconds=0.05 * had)
        events.append(event)
    return Run(manifest=run.manifest, events=events)


def speeds(seed: int, ratio: float = 1.0, *, sd: float = 0.02) -> dict[Contender, Logs]:
    shifts = {A: 0.0, TWIN: 0.0, B: float(np.log(ratio))}
    return {
        each: noise(3 * seed + number, BLOCKS, ROUNDS, sd, shift=shift)
        for number, (each, shift) in enumerate(shifts.items())
    }


def run_at(logs: Mapping[Contender, Logs]) -> Run:
    return speed_run(logs, looks=(BLOCKS,))


def only(run: Run) -> Verdict:
    (verdict,) = judge(Observations(run)).verdicts
    return verdict


def test_threads_that_wait_for_each_other_lose_by_load_what_others_do_not() -> None:
    """The kind of failure, simulated: two contenders of one speed beside other programs."""
    wrong, reasons = 0, []
    for seed in range(40):
        load = np.random.RandomState(seed).uniform(0.15, 1.2, (BLOCKS, 1)) * np.ones(ROUNDS)
        logs = speeds(seed)
        for each in (A, TWIN):  # stand still while one of their two threads does
            logs[each] = logs[each] + np.log(np.maximum(1 - load, 0.1))
        logs[B] = logs[B] + np.log(1 - load / 2)  # loses the time of that thread
        unseen, told = run_at(logs), beside(run_at(logs), dict.fromkeys(logs, load))
        wrong += only(unseen).verdict == "faster"
        reasons.append(only(told).reason)
        assert only(told).verdict == "inconclusive"
        assert judge(Observations(told)).groups[0].tiers == ()
        assert judge(Observations(told)).groups[0].unranked_reason == reasons[-1]
    # The noise floor sees nothing of it, since both copies lose alike: it fails by chance alone.
    assert wrong >= 38
    assert reasons.count("foreign_load") >= 38


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 0.02), (0.04, 0.05), (0.06, 0.06)])
def test_a_quiet_machine_and_a_slightly_noisy_one_are_judged_as_ever(
    mean: float, sd: float
) -> None:
    for seed in range(30):
        run = run_at(speeds(seed, 1.0 if seed % 2 else 1.1))
        told = only(beside(run, spread(seed, mean, sd)))
        assert told.taken_cpus == pytest.approx(mean, abs=0.04)
        assert told == msgspec.structs.replace(only(run), taken_cpus=told.taken_cpus)


def test_a_difference_that_no_such_load_makes_is_still_told() -> None:
    # Where others have a fifth of a CPU the bound is 1.25.
    for ratio, word, reason in (
        (1.0, "inconclusive", "foreign_load"),
        (1.2, "inconclusive", "foreign_load"),
        (2.0, "faster", "difference"),
        (0.5, "slower", "difference"),
    ):
        verdict = only(beside(run_at(speeds(1, ratio)), everywhere(0.2)))
        assert (verdict.verdict, verdict.reason) == (word, reason)
    # From one CPU on nothing is.
    assert only(beside(run_at(speeds(1, 9.0)), everywhere(1.3))).reason == "foreign_load"


def test_one_loaded_block_is_a_tenth_of_ten() -> None:
    taken = {each: rows.copy() for each, rows in everywhere(0.0).items()}
    taken[B][3] = 1.8
    verdict = only(beside(run_at(speeds(1, 1.5)), taken))
    assert verdict.taken_cpus == pytest.approx(0.1)
    assert verdict.verdict == "faster"


def test_the_one_that_lost_more_counts() -> None:
    taken = {**everywhere(0.0), B: np.full((BLOCKS, ROUNDS), 0.4)}
    verdict = only(beside(run_at(speeds(1)), taken))
    assert verdict.taken_cpus == pytest.approx(0.4)
    assert verdict.reason == "foreign_load"


def test_further_blocks_beside_the_same_load_are_not_waited_for() -> None:
    run = speed_run(speeds(1), looks=(BLOCKS, 2 * BLOCKS))
    assert groups_to_continue(Observations(beside(run, everywhere(0.5)))) == ()


def test_it_is_known_of_the_cpu_alone_and_only_where_the_kernel_shows_it() -> None:
    run = run_at(speeds(1, 1.2))
    assert only(run).taken_cpus is None
    assert only(on_gpu(beside(run, everywhere(0.9)), GpuReading())).taken_cpus is None
    assert only(run).verdict == "faster"


def test_versions_of_one_framework_are_hit_alike() -> None:
    one, other = cell("alpha"), msgspec.structs.replace(cell("alpha"), version="2.0")
    logs = speeds(1, 1.2)
    run = run_of(short_events(logs), ["alpha", "beta"], looks=(BLOCKS,))
    told = beside(run, everywhere(0.9))
    text = msgspec.json.encode(told)
    for before, after in ((cell("beta").id, other.id), ('"beta"', '"alpha"')):
        text = text.replace(before.encode(), after.encode())
    cells = (one, other)
    run = msgspec.json.decode(text, type=Run)
    run = Run(manifest=msgspec.structs.replace(run.manifest, cells=cells), events=run.events)
    verdict = only(run)
    assert (verdict.cell, verdict.against) == (other.id, one.id)
    assert (verdict.verdict, verdict.taken_cpus) == ("faster", pytest.approx(0.9))


def test_blocks_and_windows_beside_load_are_flagged() -> None:
    taken = {each: rows.copy() for each, rows in everywhere(0.0).items()}
    taken[B][2] = 0.6
    run = beside(run_at(speeds(1)), taken)
    (flag,) = judge(Observations(run)).block_flags
    assert (flag.kind, flag.block, flag.value) == ("foreign", 2, pytest.approx(0.6))
    blocks = finished_blocks(run.events, long=False)
    assert set(window_flags(blocks, CORES, run.manifest.cells).values()) == {("foreign",)}
    assert len(window_flags(blocks, CORES, run.manifest.cells)) == ROUNDS


def test_more_threads_than_cpus_are_no_foreign_load() -> None:
    many = msgspec.structs.replace(cell("alpha"), threads=64)
    assert wanted_cpus([many, cell("beta")], CORES) == {many.id: CORES, cell("beta").id: CORES}
