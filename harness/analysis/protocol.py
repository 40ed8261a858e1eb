"""The decision protocol: the one place in which ratios become verdicts.

1. *Estimand*: the ratio of window rates, see ``samples``.
2. *Looks* are planned before the first measurement. The errors that are allowed (.01 to a run for
   differences, .05 to each pair for equivalence) are split evenly over them, so by Bonferroni's
   inequality the looks together err no more often than one look would. A verdict that is made at a
   look stays; the pairs that are left open are looked at again. A pair's verdict is thus the one of
   the earliest look that made one, with the numbers of that look. Blocks beyond the last look that
   was reached are not read: whoever stops a run after 13 blocks gets the verdicts of look 10.
3. *Family*: all pairs of contenders of the run that may be compared, fixed before any speed is
   known; Holm (1979) within it at each look. A pair that was not measured, or whose group has not
   reached a look, counts with p = 1; a group that stopped at look 1 keeps its p of look 1.
   Equivalence is not adjusted for the family: of m pairs that truly differ by more than 3 %, one or
   more are called equivalent in up to m · .05 of all runs.
4. *Verdict*, in this order: A/A failed: everything is inconclusive. Parity or hashes fail: not
   comparable, and not even a ratio is given. The interval of confidence 1 − 2α lies within
   [1 ÷ 1.03, 1.03], which is two one-sided tests (Schuirmann, 1987) at α: equivalent, even where
   p is small. Holm-adjusted p below α: faster or slower. Else: inconclusive. So is whatever the
   load of other programs alone could have made or hidden (``foreign``).
5. *Noise floor*: the reference against its second copy, outside the family, since it is a check of
   the instrument and no claim. As one failure condemns the whole run, Holm is applied over the
   A/As of the run's groups. Failed at any look is failed: it is not forgotten at the next.

Below 5 blocks with both contenders, before the first look and without A/A, no test is made: the
numbers are given as indicative, and nothing is ranked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.comparability import Obstacle
from harness.analysis.estimate import Estimate, Floats, holm
from harness.analysis.judgement import Look, Reason, Status, Word
from harness.analysis.rules import Settled, TwoSided
from harness.analysis.samples import Contender, Sample, mean_log
from harness.spec.manifest import Plan

EQUIVALENT_WITHIN = 1.03
"""Ratios from 1 ÷ 1.03 to 1.03 are of no practical interest."""
DIFFERENCE_ALPHA = 0.01
EQUIVALENCE_ALPHA = 0.05
LEAST_BLOCKS = 5
WORDS: dict[Settled, Word] = {
    "more": "faster",
    "less": "slower",
    "equivalent": "equivalent",
    "open": "inconclusive",
}
"""What the rule says of log(rate ÷ rate of the other) → what that says of the contender."""


class Pair(NamedTuple):
    """Two contenders of a group, and their ratio in each of its blocks."""

    sample: Sample
    contender: Contender
    against: Contender
    logs: Floats
    """As ``log_ratios``."""
    obstacle: Obstacle | None = None


class Finding(NamedTuple):
    """What one look says about one pair, parity and A/A apart."""

    look: Look
    estimate: Estimate
    p_adjusted: float
    word: Word


def planned_looks(plan: Plan) -> tuple[Look, ...]:
    """The plan's looks, the allowed errors split evenly over them; at least one, which may be at 0
    blocks: then there is nothing to see."""
    return tuple(
        Look(
            blocks=blocks,
            difference_alpha=DIFFERENCE_ALPHA / max(1, len(plan.looks)),
            equivalence_alpha=EQUIVALENCE_ALPHA / max(1, len(plan.looks)),
        )
        for blocks in sorted(plan.looks) or [0]
    )


def plans_short_blocks(plan: Plan) -> bool:
    """Whether the run set out to measure speed at all."""
    return any(plan.looks)


def rule_at(look: Look) -> TwoSided:
    """What a pair is held against at ``look``, on the log scale."""
    return TwoSided(math.log(EQUIVALENT_WITHIN), look.difference_alpha, look.equivalence_alpha)


def word(found: Estimate, p_adjusted: float, look: Look) -> Word:
    """What one look says about a pair, once A/A and parity have passed."""
    return WORDS[rule_at(look).word(found, p_adjusted)]


def findings(pairs: Sequence[Pair], looks: Sequence[Look]) -> list[tuple[Finding, ...]]:
    """For each pair of one family, what the looks say that it has reached, in order."""
    found: list[list[Finding]] = [[] for _ in pairs]
    for look in looks:
        estimates = [_estimate_at(look, pair.logs, looks) for pair in pairs]
        adjusted = holm([each.p if each else 1.0 for each in estimates])
        for pair, each, p, own in zip(pairs, estimates, adjusted, found, strict=True):
            if each and len(pair.logs) >= look.blocks:
                own.append(Finding(look, each, p, word(each, p, look)))
    return [tuple(own) for own in found]


def _estimate_at(look: Look, logs: Floats, looks: Sequence[Look]) -> Estimate | None:
    """From the blocks of ``look``, or of the last one before it that the pair's group reached."""
    reached = [each.blocks for each in looks if each.blocks <= min(look.blocks, len(logs))]
    found = mean_log(logs[: max(reached)]) if reached else None
    return found if found and found.n >= LEAST_BLOCKS else None


def deciding(found: Sequence[Finding]) -> Finding | None:
    """That of the earliest look which made a verdict, else that of the last."""
    conclusive = [each for each in found if each.word != "inconclusive"]
    return conclusive[0] if conclusive else found[-1] if found else None


def conclusion(
    pair: Pair,
    final: Finding | None,
    looks: Sequence[Look],
    *,
    aa: bool | None,
    overloaded: bool = False,
) -> tuple[Status, Word | None, Reason]:
    """Point 4, and what is said where it does not apply.

    ``final``: the deciding finding, of looks with A/A. ``aa``: whether A/A passed in the whole
    run; nothing where there is none in this group. ``overloaded``: whether the load of others could
    have made what ``final`` says.
    """
    measured = not np.isnan(pair.logs).all()
    if aa is False and measured:
        return "judged", "inconclusive", "aa_failed"
    if pair.obstacle:
        return "not_comparable", None, pair.obstacle.reason
    if not measured:
        return "not_measured", None, "not_measured"
    if final is None:
        return "indicative", None, _lack(pair, looks[0], aa=aa)
    if overloaded:
        return "judged", "inconclusive", "foreign_load"
    reasons: dict[Word, Reason] = {"equivalent": "equivalence", "inconclusive": "not_settled"}
    return "judged", final.word, reasons.get(final.word, "difference")


def _lack(pair: Pair, first: Look, *, aa: bool | None) -> Reason:
    """What is missing for a verdict."""
    if aa is None:
        return "no_noise_floor"
    if len(pair.logs) < first.blocks and first.blocks >= LEAST_BLOCKS:
        return "look_not_reached"
    present = int(np.count_nonzero(~np.isnan(pair.logs)))
    # With enough blocks of its own, what the pair lacks is enough blocks of A/A.
    return "too_few_blocks" if min(present, first.blocks) < LEAST_BLOCKS else "no_noise_floor"
