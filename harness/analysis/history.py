"""One cell over many runs: what it showed each time, and where it changed for good.

Runs are not interleaved, so the values are log rates times the control kernel's seconds (see
``controlled``): a machine that is slow for an hour does not look like a slow framework.

*Change points.* Values are taken for constant levels with normal noise around them. The levels are
those that minimise the sum of squared deviations ÷ σ², plus a penalty for each change: PELT
(Killick, Fearnhead and Eckley, 2012), by ``ruptures``. σ² is estimated from the differences of
neighbours (von Neumann et al., 1941), which a change of level hardly disturbs; as few runs know it
badly, its upper 90 % bound counts: χ² with 2(n − 1)/3 degrees of freedom, which is what the
estimator's variance comes to. The penalty is 3 log n: Schwarz's criterion has 2 log n, for a level
and a place, and finds one in 18 % of series of 10 runs, and in 8 % of those of 100, where there is
none. With 3 log n and the bound it does so in fewer than 1 %, from 10 to 1,000 runs of normal
noise; tests measure that, and how large a change has to be.

Noise that drifts from run to run is another matter, and no choice here is safe against it. So a
change point is a reason to measure again, and never a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

import msgspec
import numpy as np
from scipy import special

from harness.analysis.controlled import ControlledRate
from harness.analysis.estimate import Floats
from harness.analysis.outcomes import Proof

LEAST_RUNS = 10
"""Fewer know too little of their noise."""
LEAST_BETWEEN_CHANGES = 3
"""Runs: one or two bad ones are no new level."""
PENALTY = 3.0
"""For each change, times log n."""
BOUND = 0.9
"""Confidence of the upper bound of σ²."""


class HistoryPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed of the cell."""

    run: str
    created: str
    """ISO 8601, UTC."""
    git_commit: str | None
    cell: str
    version: str
    """Of the framework, with the cell's variant behind ``~``."""
    parity: Proof
    blocks: int
    examples_per_second: float
    """As measured: geometric mean over blocks."""
    control_seconds: float
    normalised_examples_per_second: float
    """At the speed that the machine usually had: × this run's control seconds ÷ the median over
    runs."""
    change: float | None = None
    """Where a new level begins with this run: the normalised rate ÷ that of the level before,
    minus 1."""


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """Runs between two change points."""

    first: int
    """Index of its first point."""
    runs: int
    """Of its points, those that count: their cell computes what it should."""
    examples_per_second: float
    """Geometric mean of the normalised rates."""


class RunRate(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the cell, before it is seen among others."""

    run: str
    created: str
    git_commit: str | None
    cell: str
    version: str
    parity: Proof
    rate: ControlledRate


class Levels(msgspec.Struct, frozen=True, kw_only=True):
    """A cell's runs and the levels that they show."""

    points: tuple[HistoryPoint, ...]
    """Oldest first."""
    levels: tuple[Level, ...]
    """One more than there are change points; none where no run counts."""
    noise: float | None
    """SD of one run around its level, as a share of the rate; nothing below 2 runs."""


def levels_of(runs: Sequence[RunRate]) -> Levels:
    """The runs in the order of their time, and where they changed.

    Runs whose cell lost parity are shown and do not count.
    """
    ordered = sorted(runs, key=lambda each: (each.created, each.run))
    if not ordered:
        return Levels(points=(), levels=(), noise=None)
    usual = median(each.rate.control_seconds for each in ordered)
    values = [each.rate.normalised - math.log(usual) for each in ordered]
    counted = [index for index, each in enumerate(ordered) if each.parity != "lost"]
    firsts = [0, *change_points([values[index] for index in counted])]
    levels = []
    for first, end in zip(firsts, [*firsts[1:], len(counted)], strict=True):
        if own := counted[first:end]:
            mean = fmean(values[index] for index in own)
            levels.append(Level(first=own[0], runs=len(own), examples_per_second=math.exp(mean)))
    changes = {
        after.first: after.examples_per_second / before.examples_per_second - 1
        for before, after in pairwise(levels)
    }
    points = tuple(
        HistoryPoint(
            run=each.run,
            created=each.created,
            git_commit=each.git_commit,
            cell=each.cell,
            version=each.version,
            parity=each.parity,
            blocks=each.rate.blocks,
            examples_per_second=each.rate.examples_per_second,
            control_seconds=each.rate.control_seconds,
            normalised_examples_per_second=math.exp(value),
            change=changes.get(index),
        )
        for index, (each, value) in enumerate(zip(ordered, values, strict=True))
    )
    return Levels(
        points=points,
        levels=tuple(levels),
        noise=_noise([values[index] for index in counted]),
    )


def neighbours(found: Levels) -> list[tuple[HistoryPoint, HistoryPoint]]:
    """Of each change the last run that counts before it, and the first after it."""
    return [
        (
            next(
                point for point in reversed(found.points[: level.first]) if point.parity != "lost"
            ),
            found.points[level.first],
        )
        for level in found.levels[1:]
    ]


def change_points(values: Sequence[float]) -> list[int]:
    """Indices at which a new level begins; none where there are fewer than ``LEAST_RUNS``."""
    count = len(values)
    noise = _noise(values)
    if count < LEAST_RUNS or not noise:
        return []
    import ruptures  # brings scipy.stats with it, for which other commands would wait too

    freedom = 2 * (count - 1) / 3
    bound = noise * math.sqrt(freedom / special.chdtri(freedom, BOUND))
    search = ruptures.KernelCPD(kernel="linear", min_size=LEAST_BETWEEN_CHANGES)
    # Squares of numbers far from 0 would lose digits.
    signal = (np.array(values) - values[0]) / bound
    ends: list[int] = search.fit(signal.reshape(-1, 1)).predict(pen=PENALTY * math.log(count))
    places = [0]
    for place, end in pairwise(ends):
        if _is_long_on_both_sides(signal[places[-1] : end]):
            places.append(place)
    return places[1:]


def _is_long_on_both_sides(values: Floats) -> bool:
    """Whether the best place to part ``values`` leaves ``LEAST_BETWEEN_CHANGES`` on either side.

    The search knows no shorter levels: two bad runs and a good one before them would be one.
    """
    before = np.arange(1, len(values))
    sums = np.cumsum(values)[:-1]
    explained = sums**2 / before + (values.sum() - sums) ** 2 / (len(values) - before)
    shorter = min(best := int(explained.argmax()) + 1, len(values) - best)
    return shorter >= LEAST_BETWEEN_CHANGES


def _noise(values: Sequence[float]) -> float | None:
    """SD around levels that rarely change, from differences of neighbours."""
    if len(values) < 2:
        return None
    return math.sqrt(float(np.mean(np.diff(values) ** 2)) / 2)
