"""The rules that estimates are held against. Each says what its outcomes mean; none knows a study.

All limits are on the scale of the estimates: of rates and times, natural logs of ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from harness.analysis.estimate import Estimate, holm, holm_levels

Settled = Literal["more", "less", "equivalent", "open"]

MOST_VALUES = 1_000
"""Larger numbers of values to settle are not told apart."""
UPPER_CONFIDENCE = 0.95
"""One-sided, of the worsening that could have gone unseen."""
GOAL_CONFIDENCE = 0.95


class TwoSided(NamedTuple):
    """Is there a difference, in either direction, or none that is of practical interest?

    In this order: *equivalent* where the whole interval of confidence 1 − 2 · ``equivalence_alpha``
    lies within ± ``within``, which is two one-sided tests (Schuirmann, 1987); *more* or *less*
    where the p of no difference, adjusted for the family, is below ``difference_alpha``; else
    *open*.
    """

    within: float
    difference_alpha: float
    equivalence_alpha: float

    def word(self, found: Estimate, p_adjusted: float) -> Settled:
        """What ``found`` shows; ``p_adjusted``: of no difference, by Holm's method."""
        interval = found.interval(1 - 2 * self.equivalence_alpha)
        if interval and -self.within <= interval.low <= interval.high <= self.within:
            return "equivalent"
        if p_adjusted < self.difference_alpha:
            return "more" if found.mean > 0 else "less"
        return "open"

    def values_to_settle(self, found: Estimate, family: int) -> int:
        """The smallest number of values that would settle it if mean and SD stayed as they are.

        For a difference at α ÷ ``family``, the most that Holm can ask. It is an expectation and no
        promise: with that many the chance to settle is about one half. ``MOST_VALUES`` + 1 means
        more than ``MOST_VALUES``.
        """
        counts = np.arange(found.n + 1, MOST_VALUES + 1)
        error = found.sd / np.sqrt(counts)
        size = abs(found.mean)
        for_difference = special.stdtrit(counts - 1, 1 - self.difference_alpha / family / 2) * error
        for_equivalence = special.stdtrit(counts - 1, 1 - self.equivalence_alpha) * error
        settled = (for_difference < size) | (size + for_equivalence <= self.within)
        return int(counts[settled.argmax()]) if settled.any() else MOST_VALUES + 1


class Limits(NamedTuple):
    """How much worse something may become."""

    threshold: float
    """More counts as worse."""
    blind_to: float
    """Where so much could have gone unseen, too little was seen."""


class Worsening(NamedTuple):
    """What a family's rule says of one estimate."""

    word: Literal["worse", "held", "too_noisy"]
    estimate: Estimate
    """How much worse: above 0."""
    p_adjusted: float
    """One-sided, by Holm's method over the family."""
    at_least: float
    """Lower bound, at the level at which Holm's method holds the estimate."""
    at_most: float
    """One-sided upper bound, of confidence 0.95 unless said otherwise; not adjusted."""


def worsenings(
    estimates: Sequence[Estimate],
    limits: Sequence[Limits],
    alpha: float,
    upper_confidence: float = UPPER_CONFIDENCE,
) -> list[Worsening]:
    """One outcome for each member of a family, of 2 values or more each.

    *worse*: the one-sided p of a worsening of at most the threshold, by Holm's method over the
    family, is below ``alpha``. Else *held* where the upper bound lies below ``blind_to``, and
    *too_noisy* where it does not.

    Args:
        estimates: how much worse each is.
        limits: each one's own.
        alpha: errors allowed to the family.
        upper_confidence: one-sided, of the upper bound.
    """
    p_values = [found.p_above(own.threshold) for found, own in zip(estimates, limits, strict=True)]
    adjusted, levels = holm(p_values), holm_levels(p_values, alpha)
    outcomes = []
    for found, own, p, level in zip(estimates, limits, adjusted, levels, strict=True):
        at_most = found.mean + found.half(upper_confidence)
        held: Literal["held", "too_noisy"] = "too_noisy" if at_most >= own.blind_to else "held"
        outcomes.append(
            Worsening(
                word="worse" if p < alpha else held,
                estimate=found,
                p_adjusted=p,
                at_least=found.mean - found.half(level),
                at_most=at_most,
            )
        )
    return outcomes


def unusual(
    predictions: Sequence[Estimate], limits: Sequence[Limits], alpha: float
) -> list[Worsening]:
    """One outcome for each member of a family of values, each held against earlier ones.

    ``predictions``: how much worse each is than the mean of those, with the error of ``one_more``.
    *worse*: the one-sided p of a value no better than earlier ones, by Holm's method, is below
    ``alpha``, and the worsening is above the threshold. Else *too_noisy* where a worsening of
    ``blind_to`` would be a usual one, else *held*.
    """
    family = len(predictions)
    adjusted = holm([found.p_above(0) for found in predictions])
    outcomes = []
    for found, own, p in zip(predictions, limits, adjusted, strict=True):
        reach = found.half(1 - alpha / family)
        worse = p < alpha and found.mean > own.threshold
        held: Literal["held", "too_noisy"] = "too_noisy" if reach > own.blind_to else "held"
        outcomes.append(
            Worsening(
                word="worse" if worse else held,
                estimate=found,
                p_adjusted=p,
                at_least=found.mean - reach,
                at_most=found.mean + reach,
            )
        )
    return outcomes


def goal_word(found: Estimate, goal: float, least_n: int) -> Literal["met", "missed", "open"]:
    """Whether an estimate of confidence 0.95 keeps to a goal.

    *met* where the whole interval lies at or above ``goal``, *missed* where it lies below, else
    *open*; so it is with fewer values than ``least_n``.
    """
    interval = found.interval(GOAL_CONFIDENCE)
    if interval is None or found.n < least_n or interval.low < goal <= interval.high:
        return "open"
    return "met" if interval.low >= goal else "missed"
