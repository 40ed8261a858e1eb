"""What a gate may still say where the base differed from its own second copy, by simulation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy import special

from harness.analysis.estimate import Floats, Interval
from harness.analysis.gate import gate
from harness.analysis.observations import Observations
from harness.analysis.samples import mean_log
from harness.analysis.slowdown import TIMES_THE_NOISE, beyond_noise, slowdowns
from harness.spec.gates import Thresholds
from harness.spec.manifest import Run

from .gates import gated

BLOCKS, SD, ALPHA = 10, 0.05, 0.01


class Shares(NamedTuple):
    """Of gates of one cell."""

    plain: float
    """Called slower, where no A/A is looked at."""
    vetoed: float
    """Where a failed A/A forbids it."""
    ruled: float
    """By the rule."""
    failed: int
    """Gates whose A/A failed."""
    caught: float
    """Share of those that are called slower by the rule."""


def drawn(seed: int, gates: int, lasting: float, slowdown: float) -> tuple[Floats, Floats]:
    """(gates, blocks) log ratios of A/A and of head ÷ base: times, with the noise of a block.

    ``lasting``: SD of an advantage that a process has in all blocks of its gate.
    """
    random = np.random.RandomState(seed)
    times = random.normal(0, SD / math.sqrt(2), size=(gates, 3, BLOCKS))
    times += random.normal(0, lasting, size=(gates, 3, 1))
    return times[:, 1] - times[:, 0], times[:, 2] - times[:, 0] + math.log1p(slowdown)


def shares(seed: int, gates: int, *, lasting: float = 0.0, slowdown: float = 0.0) -> Shares:
    """By the gate's own code; gates that can't be slower by it are not asked, which takes long."""
    of_copies, of_heads = drawn(seed, gates, lasting, slowdown)
    error = of_copies.std(axis=1, ddof=1) / math.sqrt(BLOCKS)
    half = float(special.stdtrit(BLOCKS - 1, 1 - ALPHA / 2)) * error
    failed = np.abs(of_copies.mean(axis=1)) > half
    counts = dict.fromkeys(("plain", "vetoed", "ruled", "caught"), 0)
    hopeful = of_heads.mean(axis=1) > math.log1p(Thresholds().slowdown)
    for index in np.flatnonzero(hopeful):
        [found] = slowdowns([of_heads[index]], [Thresholds()], ALPHA, (BLOCKS,))
        test = found.timed
        if test.word != "worse":
            continue
        counts["plain"] += 1
        counts["vetoed"] += not failed[index]
        believed = not failed[index]
        if failed[index]:
            found = mean_log(of_copies[index])
            interval = found.ratio_interval(1 - ALPHA) if found else None
            assert interval is not None
            believed = beyond_noise(test.at_least, [interval])
            counts["caught"] += believed
        counts["ruled"] += believed
    return Shares(
        counts["plain"] / gates,
        counts["vetoed"] / gates,
        counts["ruled"] / gates,
        int(failed.sum()),
        counts["caught"] / max(1, int(failed.sum())),
    )


def test_false_alarms_stay_within_what_is_promised():
    found = shares(1, 100_000)
    assert 900 <= found.failed <= 1100, "an A/A of equal programs fails in 1 %, by chance"
    assert found.ruled <= 0.001
    assert found.caught == 0, "a failed A/A adds none"


@pytest.mark.parametrize(("lasting", "added"), [(0.01, 0.0001), (0.02, 0.0001), (0.05, 0.0005)])
def test_what_lasts_all_blocks_adds_next_to_no_false_alarms(lasting, added):
    """Such a machine breaks the test's assumption: what the rule adds to it is what counts."""
    found = shares(2, 40_000, lasting=lasting)
    assert found.failed > 1000
    assert found.ruled - found.vetoed <= added
    assert found.plain - found.vetoed > 3 * added, "without any rule it would be more"


@pytest.mark.parametrize(("slowdown", "least"), [(0.2, 0.05), (0.5, 0.97), (1.0, 1.0)])
def test_shown_slowdowns_are_caught_again(slowdown, least):
    found = shares(3, 20_000, slowdown=slowdown)
    assert found.failed > 100
    assert found.caught >= least, "it was 0"


def test_the_rule_takes_the_farther_end_of_the_widest_interval():
    floors = [
        Interval(low=1 / 1.05, high=0.99, confidence=0.99),
        Interval(low=0.99, high=1.02, confidence=0.99),
    ]
    limit = TIMES_THE_NOISE * math.log(1.05)
    assert beyond_noise(limit + 1e-9, floors)
    assert not beyond_noise(limit - 1e-9, floors)
    assert not beyond_noise(10.0, []), "nothing is known of the noise"


def only(run: Run):
    [cell] = gate(Observations(run)).cells
    return cell, gate(Observations(run)).exit_code


def test_a_gate_believes_what_is_far_beyond_its_noise():
    cell, code = only(gated(1.0, twin_shift=0.05))
    assert (cell.speed, code) == ("slower", 1)
    assert cell.detail.startswith("the base differed from its own second copy, but by less")
    cell, code = only(gated(0.1, twin_shift=0.05))
    assert (cell.speed, code) == ("too_noisy", 4)
    assert cell.detail == "the base differed from its own second copy"
    cell, code = only(gated(-0.5, twin_shift=0.05))
    assert (cell.speed, code) == ("too_noisy", 4), "what is faster proves nothing"
