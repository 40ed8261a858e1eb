"""Is a head slower than its base by more than a threshold? The statistics of the regression gate.

Per block the median over rounds of the log ratio of paired windows' times, head ÷ base; over blocks
the mean. A one-sided t-test (Student, 1908) of a slowdown of at most the threshold (2 %), Holm
(1979) over all cells.

One look only, at the planned number of blocks: 10 for one cell, 20 for several, which at a block SD
of 5 % give about 95 % power for a slowdown of 10 % and less than 0.1 % false alarms: see ``power``,
and ``docs/methodology.md`` for what recorded noise makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from harness.analysis.estimates import Estimate, Floats, estimate
from harness.analysis.judgement import Interval, Judgement
from harness.analysis.protocol import holm
from harness.spec.gates import Thresholds

BLOCKS_FOR_ONE = 10
BLOCKS_FOR_SEVERAL = 20
UPPER_CONFIDENCE = 0.95
"""One-sided, of the slowdown that could have gone unseen."""
TIMES_THE_NOISE = 3
"""How many times what a reference shows against itself a slowdown has to be, on the log scale, to
count where an A/A failed."""


class SlowdownTest(NamedTuple):
    """What the blocks of one cell say against its threshold."""

    estimate: Estimate
    """Of log(time of the head ÷ time of the base)."""
    p_adjusted: float
    at_least: float
    at_most: float
    slower: bool
    blind: bool
    """Whether a slowdown of ``blind_to`` could have gone unseen."""


def slowdown_tests(
    logs: Sequence[Floats], thresholds: Sequence[Thresholds], alpha: float
) -> list[SlowdownTest]:
    """One for each cell of a family, from its log(time of the head ÷ time of the base) by block.

    Each has 2 blocks or more.
    """
    estimates = [_known(estimate(each)) for each in logs]
    limits = [math.log1p(each.slowdown) for each in thresholds]
    p_values = [_p_above(of, limit) for of, limit in zip(estimates, limits, strict=True)]
    adjusted = holm(p_values)
    levels = holm_levels(p_values, alpha)
    found = []
    for of, p, level, own in zip(estimates, adjusted, levels, thresholds, strict=True):
        at_most = math.expm1(of.mean + _half(of, UPPER_CONFIDENCE))
        slower = p < alpha
        found.append(
            SlowdownTest(
                estimate=of,
                p_adjusted=p,
                at_least=math.expm1(of.mean - _half(of, level)),
                at_most=at_most,
                slower=slower,
                blind=not slower and at_most >= own.blind_to,
            )
        )
    return found


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


def holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """The confidence of each test's lower bound, so that bounds agree with Holm's verdicts.

    The k-th smallest p is held against α ÷ (m − k + 1); from the first that is not rejected on, all
    against that one's level.
    """
    levels = [0.0] * len(p_values)
    reached = alpha
    rejecting = True
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        if rejecting:
            reached = alpha / (len(p_values) - rank)
            rejecting = p_values[index] < reached
        levels[index] = 1 - reached
    return levels


def planned_blocks(cells: int) -> int:
    """How many blocks a gate of so many cells needs."""
    return BLOCKS_FOR_ONE if cells == 1 else BLOCKS_FOR_SEVERAL


def _half(of: Estimate, confidence: float) -> float:
    """From the mean to a one-sided bound."""
    return float(special.stdtrit(of.blocks - 1, confidence)) * of.error


def _p_above(of: Estimate, limit: float) -> float:
    """One-sided p of a mean of at most ``limit``."""
    return float(special.stdtr(of.blocks - 1, -(of.mean - limit) / of.error))


def _known(of: Estimate | None) -> Estimate:
    assert of is not None, "a cell without blocks is in no family"
    return of
