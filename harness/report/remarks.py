"""What a reader asks next after a verdict: how large the noise is, how accurate they got, when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.analysis.curves import Curve
from harness.analysis.estimate import Interval
from harness.analysis.judgement import GroupJudgement, NoiseFloor, Verdict
from harness.report.cast import Cast
from harness.report.formats import accuracy, bounds, count, joined, seconds, times
from harness.spec.manifest import Group


def ratio_in_words(value: float, interval: Interval | None) -> str:
    """``2.1× [2.0, 2.2]``."""
    return f"{times(value)} {bounds(interval)}" if interval else times(value)


def noise_floor_in_words(floor: NoiseFloor | None) -> str:
    """The A/A ratio with its interval, or that there is none."""
    if floor is None:
        return "not measured"
    return ratio_in_words(floor.times_faster, floor.interval)


def noise_remark(group: GroupJudgement, verdicts: Sequence[Verdict], cast: Cast) -> str:
    """How large the noise is, and whether every difference that is claimed is larger."""
    floor = group.noise_floor
    if floor is None or floor.interval is None:
        return ""
    found = (
        f"{cast.name(floor.cell)} against a second copy of itself, the noise floor (A/A), shows "
        f"{noise_floor_in_words(floor)} over {count(floor.blocks, 'block')}."
    )
    noise = _distance(floor.interval.low, floor.interval.high)
    claimed = [each.interval for each in verdicts if each.reason == "difference" and each.interval]
    if claimed and all(_nearest(each) > noise for each in claimed):
        found += " Every difference that is claimed here is larger, with its whole interval."
    return found


def _distance(*ratios: float) -> float:
    """The largest distance of ``ratios`` from 1, as a logarithm."""
    return max(abs(math.log(ratio)) for ratio in ratios)


def _nearest(interval: Interval) -> float:
    """The distance from 1 of the end that is nearest to it; 0 where 1 lies inside."""
    low, high = math.log(interval.low), math.log(interval.high)
    return 0.0 if low <= 0 <= high else min(abs(low), abs(high))


def final_accuracies(
    group: Group, learned: Mapping[tuple[str, str], Sequence[Curve]], cast: Cast
) -> str:
    """How accurate each contender got, and when; of its first trial. Nothing without long trials.

    ``learned``: group and cell → curves, as ``curves_by_cell`` has them.
    """
    own = {cell: learned.get((group.name, cell), ()) for cell in group.cells}
    ends = {cell: found[0].epochs[-1] for cell, found in own.items() if found and found[0].epochs}
    parts = [
        f"{cast.name(cell)} {accuracy(end.test_accuracy)} ({seconds(end.train_seconds)} of "
        "training)"
        for cell, end in ends.items()
        if end.test_accuracy is not None
    ]
    if not parts:
        return ""
    last = max(end.epoch for end in ends.values())
    return f"Test accuracy after {count(last, 'epoch')}: {joined(parts)}."
