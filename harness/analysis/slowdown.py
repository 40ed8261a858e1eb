"""Is a head slower than its base by more than a threshold? What the regression gate asks.

Per block the median over rounds of the log ratio of paired windows' times, head ÷ base; over blocks
the mean. It is held against ``rules.worsenings``: a one-sided t-test of a slowdown of at most the
threshold (2 %), Holm over all cells.

*Looks.* The rule is held at several numbers of blocks, planned beforehand. The errors that are
allowed are spent on them by a power function of time (Kim and DeMets, 1987): by the look at n of N
blocks, α · (n ÷ N)^1.5 in all. Each look gets its own part alone, so by Bonferroni's inequality
they err no more often together than α says, whatever their dependence. Before the last look a cell
has *held* only where its mean is at or below the threshold as well: a slowdown that the last look
could show is not waved through by the first. What ``power`` makes of it with recorded noise stands
in ``docs/methodology.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from harness.analysis.estimate import Estimate, Floats, Interval
from harness.analysis.judgement import Judgement
from harness.analysis.rules import UPPER_CONFIDENCE, Limits, Worsening, worsenings
from harness.analysis.samples import mean_log
from harness.spec.gates import Thresholds

LOOKS_FOR_ONE = (5, 8, 12)
LOOKS_FOR_SEVERAL = (5, 8, 12, 20)
"""Numbers of blocks."""
SPENDING_POWER = 1.5
LEAST_BLOCKS = 5
"""Of a cell, at any look."""
TIMES_THE_NOISE = 3
"""How many times what a reference shows against itself a slowdown has to be, on the log scale, to
count where an A/A failed."""


class Slowdown(NamedTuple):
    """What the looks so far say of one cell."""

    word: Literal["worse", "held", "too_noisy", "open"]
    """*open*: undecided, with a look to come."""
    timed: Worsening
    """By the look that decided, else by the last one that was reached; on the log scale."""


def slowdowns(
    logs: Sequence[Floats],
    thresholds: Sequence[Thresholds],
    alpha: float,
    looks: Sequence[int],
) -> list[Slowdown | None]:
    """One outcome for each cell of a family; nothing of one that no look has 5 blocks of.

    Args:
        logs: for each cell (blocks,): log(time of the head ÷ time of the base); NaN where a block
            lacks one of them.
        thresholds: each cell's own.
        alpha: the share of gates of unchanged cells in which any may be called slower.
        looks: Numbers of blocks after which they are looked at.
    """
    limits = [slowdown_limits(each) for each in thresholds]
    found: list[Slowdown | None] = [None] * len(logs)
    for look, share in zip(sorted(looks), spent(looks), strict=True):
        last = look == max(looks)
        undecided = [
            index
            for index, (cell, own) in enumerate(zip(found, logs, strict=True))
            if (cell is None or cell.word == "open")
            and len(own) >= look
            and np.count_nonzero(~np.isnan(own[:look])) >= LEAST_BLOCKS
        ]
        if not undecided:
            continue
        estimates = {index: _known(mean_log(logs[index][:look])) for index in undecided}
        # The others count with what they showed when they were last looked at.
        family = estimates | {
            index: cell.timed.estimate
            for index, cell in enumerate(found)
            if cell is not None and index not in estimates
        }
        outcomes = worsenings(
            list(family.values()),
            [limits[index] for index in family],
            alpha * share,
            1 - (1 - UPPER_CONFIDENCE) * share,
        )
        for index, timed in zip(family, outcomes, strict=True):
            if index in estimates:
                early = timed.word == "held" and timed.estimate.mean <= limits[index].threshold
                decided = last or timed.word == "worse" or early
                found[index] = Slowdown(timed.word if decided else "open", timed)
    return found


def spent(looks: Sequence[int]) -> list[float]:
    """The share of all allowed errors that each of ``looks`` gets, in their order; 1 in all."""
    if not max(looks):  # no speed is measured
        return [1.0] * len(looks)
    shares = [0.0, *((look / max(looks)) ** SPENDING_POWER for look in sorted(looks))]
    return [after - before for before, after in pairwise(shares)]


def slowdown_limits(thresholds: Thresholds) -> Limits:
    """Of log(time ÷ time before)."""
    return Limits(math.log1p(thresholds.slowdown), math.log1p(thresholds.blind_to))


def accuracy_limits(thresholds: Thresholds) -> Limits:
    """Of the loss of test accuracy, a fraction."""
    return Limits(thresholds.accuracy, thresholds.accuracy_blind_to)


def failed_noise_floors(judgement: Judgement) -> tuple[Interval, ...]:
    """What references showed against their own second copies, where one differed from its own."""
    floors = [each.noise_floor for each in judgement.groups if each.noise_floor]
    failed = any(floor.failed for floor in floors)
    return tuple(floor.interval for floor in floors if floor.interval) if failed else ()


def beyond_noise(log_slowdown: float, floors: Iterable[Interval]) -> bool:
    """Whether so large a slowdown can't come from what the A/A intervals admit.

    A failed A/A shows that something made two equal programs unequal, up to the farther end of its
    interval, and may have done as much to base and head. That it did ``TIMES_THE_NOISE`` times as
    much is not believed.
    """
    ends = [abs(math.log(end)) for each in floors for end in (each.low, each.high)]
    return bool(ends) and log_slowdown > TIMES_THE_NOISE * max(ends)


def planned_looks(cells: int) -> tuple[int, ...]:
    """After how many blocks a gate of so many cells is looked at."""
    return LOOKS_FOR_ONE if cells == 1 else LOOKS_FOR_SEVERAL


def _known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None, "a cell without blocks is in no family"
    return estimate
