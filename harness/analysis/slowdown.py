"""Is a head slower than its base by more than a threshold? What the regression gate asks.

Per block the median over rounds of the log ratio of paired windows' times, head ÷ base; over blocks
the mean. It is held against ``rules.worsenings``: a one-sided t-test of a slowdown of at most the
threshold (2 %), Holm over all cells.

One look only, at the planned number of blocks: 10 for one cell, 20 for several, which at a block SD
of 5 % give about 95 % power for a slowdown of 10 % and less than 0.1 % false alarms: see ``power``,
and ``docs/methodology.md`` for what recorded noise makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from harness.analysis.estimate import Estimate, Floats, Interval
from harness.analysis.judgement import Judgement
from harness.analysis.rules import Limits, Worsening, worsenings
from harness.analysis.samples import mean_log
from harness.spec.gates import Thresholds

BLOCKS_FOR_ONE = 10
BLOCKS_FOR_SEVERAL = 20
TIMES_THE_NOISE = 3
"""How many times what a reference shows against itself a slowdown has to be, on the log scale, to
count where an A/A failed."""


def slowdowns(
    logs: Sequence[Floats], thresholds: Sequence[Thresholds], alpha: float
) -> list[Worsening]:
    """One outcome for each cell of a family, on the log scale.

    Args:
        logs: for each cell (blocks,): log(time of the head ÷ time of the base), 2 or more of them.
        thresholds: each cell's own.
        alpha: the share of gates of unchanged cells in which any may be called slower.
    """
    limits = [slowdown_limits(each) for each in thresholds]
    return worsenings([_known(mean_log(each)) for each in logs], limits, alpha)


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


def planned_blocks(cells: int) -> int:
    """How many blocks a gate of so many cells needs."""
    return BLOCKS_FOR_ONE if cells == 1 else BLOCKS_FOR_SEVERAL


def _known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None, "a cell without blocks is in no family"
    return estimate
