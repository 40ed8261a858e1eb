"""The protocol's promises, on made-up machines with a fixed seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.analysis.judgement import Look
from harness.analysis.protocol import Pair, findings
from harness.analysis.samples import Contender, Sample, log_ratios, mean_log

ALPHA, BETA = Contender("alpha"), Contender("beta")
LOOKS = tuple(Look(blocks=n, difference_alpha=0.005, equivalence_alpha=0.025) for n in (10, 20))
RUNS = 3000


def ratios(
    random: np.random.RandomState, blocks: int, *, sd: float, shift: float = 0.0
) -> tuple[Sample, NDArray[np.float64]]:
    """Of RUNS runs at once: (RUNS, blocks) log ratios of two contenders, by the suite's estimator.

    Time in the machine's own units: what a block does to both (SD 20 %), what it does to each (so
    that the ratio has SD ``sd``), and windows with noise of 3 % that every tenth time double.
    """
    rounds = 10
    shape = (RUNS * blocks, 2, rounds)
    both = random.normal(0, 0.2, size=(RUNS * blocks, 1, 1))
    each = random.normal(0, sd / np.sqrt(2), size=(RUNS * blocks, 2, 1))
    windows = random.normal(0, 0.03, size=shape) + np.log(2) * (random.uniform(size=shape) < 0.1)
    wall = np.exp(both + each + windows)
    wall[:, 1] /= np.exp(shift)
    ones = np.ones(shape)
    numbers = tuple(range(RUNS * blocks))
    sample = Sample("group", (ALPHA, BETA), numbers, ones, wall, wall, *[ones] * 4)
    return sample, log_ratios(sample, BETA, ALPHA).reshape(RUNS, blocks)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    _, logs = ratios(np.random.RandomState(1), 10, sd=0.05, shift=0.1)
    covered = 0
    for row in logs:
        found = mean_log(row)
        assert found is not None
        interval = found.ratio_interval(0.95)
        assert interval is not None
        covered += interval.low <= np.exp(0.1) <= interval.high
    assert 0.93 <= covered / RUNS <= 0.97


def words(logs: NDArray[np.float64], sample: Sample) -> list[set[str]]:
    """For each run, what its looks said of its only pair."""
    return [
        {each.word for each in findings([Pair(sample, BETA, ALPHA, row)], LOOKS)[0]} for row in logs
    ]


def test_false_alarms_of_two_looks_stay_at_one_percent() -> None:
    sample, logs = ratios(np.random.RandomState(2), 20, sd=0.08)
    alarms = sum(bool(each & {"faster", "slower"}) for each in words(logs, sample)) / RUNS
    # .005 at each look; 3,000 runs have a standard error of .0018.
    assert 0.004 <= alarms <= 0.014


def test_pairs_just_outside_the_bounds_are_rarely_called_equivalent() -> None:
    sample, logs = ratios(np.random.RandomState(3), 20, sd=0.02, shift=float(np.log(1.031)))
    wrong = sum("equivalent" in each for each in words(logs, sample)) / RUNS
    assert wrong <= 0.05


def test_a_tenth_is_nearly_always_found() -> None:
    sample, logs = ratios(np.random.RandomState(4), 20, sd=0.05, shift=float(np.log(1.1)))
    found = sum("faster" in each for each in words(logs, sample)) / RUNS
    assert found >= 0.95
