"""A mean and what is known of it: every interval and every p value of the suite is made here.

*One sample.* Of n values that are like draws from one normal distribution, with mean m and standard
deviation s, (m − µ) ÷ (s ÷ √n) is distributed as Student's t (1908) with n − 1 degrees of freedom.

*Two samples* that were not paired: Welch (1947), with Satterthwaite's degrees of freedom.

*One more value*, held against n earlier ones: s · √(1 + 1/n) stands for the error (Hahn and Meeker,
*Statistical Intervals*, 1991, chapter 4).

*Equal values* have a standard deviation of 0. Taken at its word it makes every p 0 and every
interval a point, as if three equal numbers proved that no other is possible. What they show is that
the spread is smaller than what such a value can tell apart. So an SD is never taken to be below
that of a rounding to the step q between two values, q ÷ √12 (JCGM 100:2008, the "GUM", F.2.2.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

LEAST_SD_OF_ACCURACY = 1 / 4_000 / math.sqrt(12)
"""A step is one image of the smallest test set that there is."""
LEAST_SD_OF_ACCURACY_DIFFERENCE = math.sqrt(2) * LEAST_SD_OF_ACCURACY
LEAST_SD_OF_LOG_RATE = 1e-6 / math.sqrt(12)
"""A step is a microsecond in a window of a second."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A two-sided t-interval; of a ratio, over blocks, exponentiated from the log scale."""

    low: float
    high: float
    confidence: float
    """Two-sided: 0.995 where α is .005."""


class Estimate(NamedTuple):
    """A mean, a difference of two means, or how far one value lies from earlier ones."""

    mean: float
    """On the scale on which values are taken to be normal: of rates and ratios, natural logs."""
    error: float
    """Standard error of ``mean``, above 0; NaN where one value alone is known."""
    freedom: float
    """Degrees of freedom of Student's t."""
    n: int
    """Values that it rests on."""

    @property
    def sd(self) -> float:
        """Standard deviation of one value; NaN where one alone is known."""
        return self.error * math.sqrt(self.n)

    @property
    def ratio(self) -> float:
        """The geometric mean, of an estimate on the log scale."""
        return math.exp(self.mean)

    @property
    def p(self) -> float:
        """Two-sided p of a mean of 0; NaN where one value alone is known."""
        return 2 * float(special.stdtr(self.freedom, -abs(self.mean) / self.error))

    def p_above(self, limit: float) -> float:
        """One-sided p of a mean of at most ``limit``: small where it is clearly above."""
        return float(special.stdtr(self.freedom, -(self.mean - limit) / self.error))

    def p_below(self, limit: float) -> float:
        """One-sided p of a mean of at least ``limit``: small where it is clearly below."""
        return float(special.stdtr(self.freedom, (self.mean - limit) / self.error))

    def p_outside(self, limit: float) -> float:
        """The larger p of two one-sided tests (Schuirmann, 1987): small where |mean| is clearly
        below ``limit``."""
        return max(self.p_below(limit), self.p_above(-limit))

    def half(self, confidence: float) -> float:
        """From the mean to its one-sided bound."""
        return float(special.stdtrit(self.freedom, confidence)) * self.error

    def interval(self, confidence: float) -> Interval | None:
        """The two-sided interval, on the scale of ``mean``; nothing of one value alone."""
        if self.n < 2:
            return None
        half = self.half((1 + confidence) / 2)
        return Interval(
            low=self.mean - half, high=self.mean + half, confidence=round(confidence, 12)
        )

    def ratio_interval(self, confidence: float) -> Interval | None:
        """As ``interval``, exponentiated."""
        found = self.interval(confidence)
        if found is None:
            return None
        return Interval(
            low=math.exp(found.low), high=math.exp(found.high), confidence=found.confidence
        )


def mean_of(values: Floats, least_sd: float) -> Estimate | None:
    """The mean of ``values``, NaN left out, whose SD counts as ``least_sd`` or more.

    Nothing where nothing remains.
    """
    present = values[~np.isnan(values)]
    if not present.size:
        return None
    sd = max(float(present.std(ddof=1)), least_sd) if present.size > 1 else math.nan
    # Equal values are equal: their mean may differ from them in the last digit.
    mean = float(present[0] if np.ptp(present) == 0 else present.mean())
    n = int(present.size)
    return Estimate(mean, sd / math.sqrt(n), n - 1, n)


def difference(one: Estimate, other: Estimate) -> Estimate | None:
    """Mean of ``one`` − mean of ``other``, which were not paired (Welch); nothing below 2 values of
    either."""
    if min(one.n, other.n) < 2:
        return None
    variances = one.error**2, other.error**2
    total = sum(variances)
    parts = zip(variances, (one.freedom, other.freedom), strict=True)
    freedom = 1 / sum((variance / total) ** 2 / own for variance, own in parts)
    return Estimate(one.mean - other.mean, math.sqrt(total), freedom, min(one.n, other.n))


def one_more(earlier: Estimate) -> Estimate:
    """What one more value is expected to be, from two or more ``earlier`` ones."""
    return earlier._replace(error=earlier.sd * math.sqrt(1 + 1 / earlier.n))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values, adjusted by Holm's step-down method (1979), in the given order.

    As statsmodels' ``multipletests`` (tested), which collects garbage at each call: 60 ms a look.
    """
    ordered = np.argsort(p_values, kind="stable")
    steps = np.array(p_values)[ordered] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[ordered] = np.minimum(np.maximum.accumulate(steps), 1)
    found: list[float] = adjusted.tolist()
    return found


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
