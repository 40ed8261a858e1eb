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

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from harness.analysis.curves import Curve, curves_by_cell
from harness.analysis.estimate import (
    LEAST_SD_OF_ACCURACY_DIFFERENCE,
    Estimate,
    Floats,
    Interval,
    holm,
    mean_of,
)
from harness.analysis.observations import Observations, once
from harness.analysis.reproduction import TAKEN_OFF
from harness.analysis.rules import Settled, TwoSided

EQUIVALENT_WITHIN = 0.005
"""Differences of accuracy up to 0.5 points are of no practical interest."""
ALPHA = 0.05
"""Of each one-sided test, and of the family of tests for a difference."""
RULE = TwoSided(EQUIVALENT_WITHIN, ALPHA, ALPHA)
LEAST_SEEDS = 3

ConvergenceWord = Literal["equivalent", "different", "inconclusive"]
ConvergenceReason = Literal[
    "equivalence", "difference", "not_settled", "too_few_seeds", "not_comparable"
]

OUTCOMES: dict[Settled, tuple[ConvergenceWord, ConvergenceReason]] = {
    "more": ("different", "difference"),
    "less": ("different", "difference"),
    "equivalent": ("equivalent", "equivalence"),
    "open": ("inconclusive", "not_settled"),
}
"""What the rule says of a difference of accuracies → what that means here."""


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


class _Pair(NamedTuple):
    """Two contenders that were trained, seed by seed."""

    described: Convergence
    """With numbers, not yet judged."""
    difference: Estimate | None
    """Of final accuracies; nothing where no test is made."""


@once
def convergences(run: Observations) -> tuple[Convergence, ...]:
    """All pairs of contenders of each group that were trained whole, in the order of the plan.

    Groups with a loader are left out: each contender has an order of its own there.
    """
    pairs = list(_pairs(run))
    family = [pair.difference for pair in pairs if pair.difference is not None]
    adjusted = iter(holm([difference.p for difference in family]))
    return tuple(
        pair.described
        if pair.difference is None
        else _judged(pair.described, pair.difference, next(adjusted), len(family))
        for pair in pairs
    )


def accuracy_difference(differences: Floats) -> Estimate | None:
    """The mean of ``differences`` of test accuracy, one a seed; nothing without any."""
    return mean_of(differences, LEAST_SD_OF_ACCURACY_DIFFERENCE)


def _pairs(run: Observations) -> Iterator[_Pair]:
    with_loader = {cell.id for cell in run.manifest.cells if cell.loads}
    trained = curves_by_cell(run)
    for group in run.manifest.plan.groups:
        cells = [cell for cell in group.cells if (group.name, cell) in trained]
        for against, cell in combinations(cells, 2):
            if with_loader & {against, cell}:
                continue
            curves = trained[group.name, cell], trained[group.name, against]
            differences, seeds, guessing, epoch = _paired(*curves)
            obstacle = run.obstacles.between(cell, against)
            shown = None if obstacle else accuracy_difference(differences)
            described = Convergence(
                group=group.name,
                cell=cell,
                against=against,
                word=None,
                reason="not_comparable" if obstacle else "too_few_seeds",
                detail=obstacle.detail if obstacle else "",
                epoch=epoch,
                seeds=seeds,
                difference=shown.mean if shown else None,
                interval=shown.interval(1 - 2 * ALPHA) if shown else None,
                differences=tuple(differences.tolist()) if shown else (),
                both_guessing=guessing,
            )
            yield _Pair(described, shown if shown and shown.n >= LEAST_SEEDS else None)


def _paired(
    cell: Sequence[Curve], against: Sequence[Curve]
) -> tuple[Floats, tuple[int, ...], tuple[int, ...], int | None]:
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
    return np.array(differences), seeds, guessing, epoch


def _last_points(of: Sequence[Curve]) -> dict[tuple[int, int, int], float]:
    """(Block, seed, last epoch) → test accuracy."""
    return {
        (curve.block, curve.seed, curve.epochs[-1].epoch): curve.epochs[-1].test_accuracy
        for curve in of
        if curve.epochs[-1].test_accuracy is not None
    }


def _judged(
    described: Convergence, difference: Estimate, p_adjusted: float, family: int
) -> Convergence:
    word, reason = OUTCOMES[RULE.word(difference, p_adjusted)]
    return msgspec.structs.replace(
        described,
        word=word,
        reason=reason,
        p_equivalence=difference.p_outside(EQUIVALENT_WITHIN),
        p_difference=difference.p,
        p_difference_adjusted=p_adjusted,
        seeds_to_settle=(
            RULE.values_to_settle(difference, family) if reason == "not_settled" else None
        ),
    )
