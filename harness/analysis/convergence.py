"""Whether two contenders train to the same accuracy: paired by seed, two one-sided tests.

Trials of one long block share data, initial weights and order, so their difference at the last
epoch is taken seed by seed; the seed is the unit. With n differences of mean m and SD s, the 90 %
t-interval m ± t · s / √n within ±0.5 points is two one-sided tests at α = .05 each (Schuirmann,
1987), 95 % confidence on either side: *equivalent*. Else, where a paired t-test of no difference
has p below .05 after Holm (1979) over all pairs of the run: *different*. Else *inconclusive*.
Equivalence is not adjusted: its .05 are those of one pair, and among m pairs that truly differ by
more, up to m times as many runs find some pair equivalent. Who claims it of *all* pairs together
needs no adjustment (Berger, 1982).

A seed with which neither of the two learns anything says nothing of what they learn: their
difference is near 0 because both guess. It is left out, and told. Below 3 seeds no test is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from harness.analysis.comparability import obstacles
from harness.analysis.curves import Curve, curves_by_cell
from harness.analysis.estimates import Floats
from harness.analysis.held import held_results
from harness.analysis.judgement import Interval
from harness.analysis.protocol import holm
from harness.analysis.reproduction import TAKEN_OFF
from harness.analysis.spread import LEAST_SD_OF_ACCURACY_DIFFERENCE, spread
from harness.analysis.trials import finished_blocks
from harness.spec.events import Run

EQUIVALENT_WITHIN = 0.005
"""Differences of accuracy up to 0.5 points are of no practical interest."""
ALPHA = 0.05
"""Of each one-sided test, and of the family of tests for a difference."""
LEAST_SEEDS = 3
MOST_SEEDS = 1_000
"""Larger numbers of seeds to settle are not told apart."""

ConvergenceWord = Literal["equivalent", "different", "inconclusive"]
ConvergenceReason = Literal[
    "equivalence", "difference", "not_settled", "too_few_seeds", "not_comparable"
]


class Convergence(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy to which one contender (``cell``) trains, against another of its group."""

    group: str
    cell: str
    against: str
    """The one that comes first in the group."""
    word: ConvergenceWord | None
    """Nothing below 3 seeds, or where the two may not be compared."""
    reason: ConvergenceReason
    detail: str = ""
    """What forbids comparing the two."""
    epoch: int | None = None
    """The last one, whose test accuracies these are."""
    seeds: tuple[int, ...] = ()
    """Those with which both were trained to that epoch, and one of them at least learned."""
    difference: float | None = None
    """Mean over seeds of the test accuracy of ``cell`` − that of ``against``, a fraction."""
    interval: Interval | None = None
    """Of ``difference``, 90 %: the one that is held against ±0.005; from 2 seeds on."""
    p_equivalence: float | None = None
    """The larger of the p values of the two one-sided tests."""
    p_difference: float | None = None
    """Two-sided, of no difference, before Holm."""
    p_difference_adjusted: float | None = None
    seeds_to_settle: int | None = None
    """Seeds that would settle it if mean and SD stayed as they are, with a chance of about one
    half; 1001 means more than 1,000. Only where ``not_settled``."""
    differences: tuple[float, ...] = ()
    """In the order of ``seeds``."""
    both_guessing: tuple[int, ...] = ()
    """Seeds with which neither learned anything: test accuracy at most 0.2. They are none of
    ``seeds``."""


class Paired(NamedTuple):
    """Differences of two contenders, seed by seed."""

    differences: Floats

    @property
    def seeds(self) -> int:
        """How many."""
        return len(self.differences)

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(self.differences.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean, never 0: see ``spread``."""
        return spread(self.differences, LEAST_SD_OF_ACCURACY_DIFFERENCE) / math.sqrt(self.seeds)

    def interval(self, confidence: float) -> Interval:
        """The t-interval of the mean difference, of at least 2 seeds."""
        half = float(special.stdtrit(self.seeds - 1, (1 + confidence) / 2)) * self.error
        return Interval(low=self.mean - half, high=self.mean + half, confidence=confidence)

    def p_below(self, bound: float) -> float:
        """One-sided p of a mean at or above ``bound``: small where it is clearly below."""
        return float(special.stdtr(self.seeds - 1, (self.mean - bound) / self.error))

    def p_above(self, bound: float) -> float:
        """One-sided p of a mean at or below ``bound``."""
        return Paired(-self.differences).p_below(-bound)

    @property
    def p_equivalence(self) -> float:
        """Of a mean outside ±0.005 (Schuirmann, 1987)."""
        return max(self.p_below(EQUIVALENT_WITHIN), self.p_above(-EQUIVALENT_WITHIN))

    @property
    def p_difference(self) -> float:
        """Two-sided, of a mean of 0 (Student, 1908)."""
        return 2 * min(self.p_below(0), self.p_above(0))


def convergences(run: Run) -> tuple[Convergence, ...]:
    """All pairs of contenders of each group that were trained whole, in the order of the plan.

    Groups with a loader are left out: each contender has an order of its own there.
    """
    found = list(_described_pairs(run))
    family = [paired for _, paired in found if paired is not None]
    adjusted = iter(holm([paired.p_difference for paired in family]))
    return tuple(
        described if paired is None else _judged(described, paired, next(adjusted), len(family))
        for described, paired in found
    )


def seeds_to_settle(of: Paired, family: int) -> int:
    """The smallest number of seeds that would settle ``of`` if mean and SD stayed as they are.

    For a difference at α ÷ ``family``, the most that Holm can ask. ``MOST_SEEDS`` + 1 means more
    than ``MOST_SEEDS``.
    """
    seeds = np.arange(of.seeds + 1, MOST_SEEDS + 1)
    error = of.error * math.sqrt(of.seeds) / np.sqrt(seeds)
    size = abs(of.mean)
    for_difference = special.stdtrit(seeds - 1, 1 - ALPHA / family / 2) * error
    for_equivalence = special.stdtrit(seeds - 1, 1 - ALPHA) * error
    settled = (for_difference < size) | (size + for_equivalence < EQUIVALENT_WITHIN)
    return int(seeds[settled.argmax()]) if settled.any() else MOST_SEEDS + 1


def _described_pairs(run: Run) -> Iterator[tuple[Convergence, Paired | None]]:
    """Each pair with its numbers but not yet judged; its differences where they can be."""
    blocks = finished_blocks(run, long=True)
    barred = obstacles(run.manifest.cells, held_results(run), blocks)
    with_loader = {cell.id for cell in run.manifest.cells if cell.loads}
    trained = curves_by_cell(run)
    for group in run.manifest.plan.groups:
        cells = [each for each in group.cells if (group.name, each) in trained]
        for against, cell in combinations(cells, 2):
            if with_loader & {against, cell}:
                continue
            curves = trained[group.name, cell], trained[group.name, against]
            paired, seeds, guessing, epoch = _paired(*curves)
            obstacle = barred.between(cell, against)
            shown = bool(paired.seeds and not obstacle)
            described = Convergence(
                group=group.name,
                cell=cell,
                against=against,
                word=None,
                reason="not_comparable" if obstacle else "too_few_seeds",
                detail=obstacle.detail if obstacle else "",
                epoch=epoch,
                seeds=seeds,
                difference=paired.mean if shown else None,
                interval=paired.interval(1 - 2 * ALPHA) if shown and paired.seeds > 1 else None,
                differences=tuple(paired.differences.tolist()) if shown else (),
                both_guessing=guessing,
            )
            yield described, paired if shown and paired.seeds >= LEAST_SEEDS else None


def _paired(
    cell: Sequence[Curve], against: Sequence[Curve]
) -> tuple[Paired, tuple[int, ...], tuple[int, ...], int | None]:
    """Differences at the last epoch that all have reached, their seeds, those with which neither
    learned, and that epoch.
    """
    of_cell, of_against = _last_points(cell), _last_points(against)
    shared = [key for key in of_cell if key in of_against]
    epoch = max((epoch for _, _, epoch in shared), default=None)
    shared = [key for key in shared if key[2] == epoch]
    learned = [key for key in shared if max(of_cell[key], of_against[key]) > TAKEN_OFF]
    # Rounded, so that differences of the same number of images are the same number.
    differences = [round(of_cell[key] - of_against[key], 12) for key in learned]
    seeds = tuple(seed for _, seed, _ in learned)
    guessing = tuple(key[1] for key in shared if key not in learned)
    return Paired(np.array(differences)), seeds, guessing, epoch


def _last_points(of: Sequence[Curve]) -> dict[tuple[int, int, int], float]:
    """(Block, seed, last epoch) → test accuracy."""
    return {
        (curve.block, curve.seed, curve.epochs[-1].epoch): curve.epochs[-1].test_accuracy
        for curve in of
        if curve.epochs[-1].test_accuracy is not None
    }


def _judged(base: Convergence, of: Paired, p_adjusted: float, family: int) -> Convergence:
    word: ConvergenceWord = "inconclusive"
    reason: ConvergenceReason = "not_settled"
    if of.p_equivalence < ALPHA:
        word, reason = "equivalent", "equivalence"
    elif p_adjusted < ALPHA:
        word, reason = "different", "difference"
    return msgspec.structs.replace(
        base,
        word=word,
        reason=reason,
        p_equivalence=of.p_equivalence,
        p_difference=of.p_difference,
        p_difference_adjusted=p_adjusted,
        seeds_to_settle=seeds_to_settle(of, family) if reason == "not_settled" else None,
    )
