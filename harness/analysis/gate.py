"""The regression gate: has a cell become slower, less accurate, or wrong, since its base?

*Speed.* Base and head took turns in the same blocks. A test of a slowdown (see ``slowdown``) over
all cells, at several looks that share α (.01): below it the cell is *slower*. Else, where the
one-sided 95 % upper bound lies below ``blind_to`` (10 %), speed has *held*; else the gate has seen
too little, *too noisy*. A cell that is decided at a look is measured no further. Too noisy is every
cell where a reference differed from its own second copy, but for a slowdown whose adjusted lower
bound is more than 3 times, on the log scale, what any A/A interval of the run admits: that stays
*slower* (see ``slowdown.beyond_noise``).

*Accuracy.* Long trials share data, initial weights and order seed by seed: a one-sided paired
t-test of a loss of at most the threshold (0.5 points), Holm over all cells, α as above: *lower*.
Else *held* where the one-sided 95 % upper bound lies below ``accuracy_blind_to`` (5 points), and
*too noisy* where it does not.

*Failures.* A head that failed anywhere has failed, unless what could be timed of it shows that it
is slower as well.

*Parity.* Both are held against the oracle. What the head fails is *lost*; where only the base
fails, the head has mended it and there is nothing to compare its speed with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from harness.analysis.convergence import LEAST_SEEDS, accuracy_difference, convergences
from harness.analysis.estimate import Estimate, Floats, Interval
from harness.analysis.judgement import Verdict
from harness.analysis.observations import Observations, once
from harness.analysis.outcomes import Accuracy, Proof, Speed, exit_code
from harness.analysis.rules import Worsening, worsenings
from harness.analysis.samples import Contender, log_ratios
from harness.analysis.slowdown import (
    LEAST_BLOCKS,
    Slowdown,
    accuracy_limits,
    beyond_noise,
    failed_noise_floors,
    slowdowns,
)
from harness.analysis.verdicts import judge
from harness.spec.events import Skip
from harness.spec.gates import GateTerms, Thresholds

UNEQUAL = "the base differed from its own second copy"


class GatedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the head against the same cell of the base."""

    series: str
    """The cell without version and variant."""
    base: str
    head: str
    """Cell ids."""
    speed: Speed
    accuracy: Accuracy
    parity: Proof
    """Of the head."""
    thresholds: Thresholds
    detail: str = ""
    """Why it was not compared, or failed."""
    slowdown: float | None = None
    """Time of a window of the head ÷ that of the base, minus 1: below 0 it became faster."""
    slowdown_at_least: float | None = None
    """Holm-adjusted lower bound."""
    slowdown_at_most: float | None = None
    """Upper bound, not adjusted for the other cells: the looks share an error of 0.05."""
    p_adjusted: float | None = None
    """Of a slowdown of at most the threshold, at the look that decided."""
    blocks: int = 0
    """Of that look, with both."""
    noise_floor: Interval | None = None
    """What the base shows against its own second copy, as ratio of rates."""
    accuracy_loss: float | None = None
    """Mean over seeds of the final test accuracy of the base − that of the head, a fraction."""
    accuracy_loss_at_least: float | None = None
    """Holm-adjusted lower bound."""
    accuracy_loss_at_most: float | None = None
    """Upper bound of one-sided confidence 0.95, not adjusted."""
    seeds: int = 0
    base_trained_at: float | None = None
    """When the base's accuracies were taken, in seconds since 1970, where an earlier gate has
    trained it with the same code, packages, data and seeds; of several, the first."""
    confounders: tuple[str, ...] = ()
    """What else differs between the two environments."""


class NotCompared(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the gate has no cell for."""

    what: str
    reason: str


class GateJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate says."""

    run: str
    base: str
    commit: str | None
    """The one that was measured as the base."""
    tip: str | None = None
    """The commit that ``base`` names, where that is a revision."""
    head: str | None = None
    """The work tree's commit, with ``+`` where it has changes."""
    strict: bool = False
    """Whether what could not be compared fails the gate."""
    cells: tuple[GatedCell, ...]
    left_out: tuple[NotCompared, ...] = ()
    exit_code: int
    """0 all held; 1 slower or less accurate; 2 failed, or nothing to compare; 3 parity lost; 4 too
    noisy."""


@once
def gate(run: Observations) -> GateJudgement:
    """What ``run``, planned as a gate, says of each cell."""
    terms = run.manifest.gate or GateTerms(base="")
    pairs = [group.cells for group in run.manifest.plan.groups if len(group.cells) == 2]
    thresholds = {head: terms.of(run.cells[head]) for _, head in pairs}
    slower = _slowdowns(run, thresholds, terms)
    losses = _accuracy_losses(run, thresholds, terms)
    gated = tuple(
        _gated(run, base, head, thresholds[head], slower.get(head), losses.get(head))
        for base, head in pairs
    )
    left_out = tuple(NotCompared(what=skip.what, reason=skip.reason) for skip in run.all(Skip))
    missing = bool(left_out) or any(cell.speed == "not_compared" for cell in gated)
    return GateJudgement(
        run=run.manifest.run,
        base=terms.base,
        commit=terms.commit,
        tip=terms.tip,
        head=run.manifest.git_commit,
        strict=terms.strict,
        cells=gated,
        left_out=left_out,
        exit_code=exit_code(gated, incomplete=terms.strict and missing),
    )


def _slowdowns(
    run: Observations, thresholds: Mapping[str, Thresholds], terms: GateTerms
) -> dict[str, Slowdown]:
    """Head → whether it is slower; heads with too few blocks are left out."""
    logs: dict[str, Floats] = {}
    for group in run.manifest.plan.groups:
        if group.cells[-1] in thresholds and len(group.cells) == 2:
            base, head = (Contender(cell) for cell in group.cells)
            # Rates are examples by time: the base's over the head's are times the other way round.
            logs[head.cell] = log_ratios(run.samples[group.name], base, head)
    own = [thresholds[head] for head in logs]
    found = slowdowns(list(logs.values()), own, terms.alpha, run.manifest.plan.looks)
    return {head: each for head, each in zip(logs, found, strict=True) if each is not None}


def groups_undecided(run: Observations) -> tuple[str, ...]:
    """Names of the groups that a gate has to measure further: those before a look that is to come,
    and undecided so far.

    Where a reference differed from its own second copy, or the two may not be compared, more blocks
    settle nothing.
    """
    plan, terms = run.manifest.plan, run.manifest.gate or GateTerms(base="")
    thresholds = {group.cells[-1]: terms.of(run.cells[group.cells[-1]]) for group in plan.groups}
    decided = {
        head for head, own in _slowdowns(run, thresholds, terms).items() if own.word != "open"
    }
    restless = bool(failed_noise_floors(judge(run)))
    first, last = min(plan.looks), max(plan.looks)
    return tuple(
        group.name
        for group in plan.groups
        if (blocks := len(run.samples[group.name].blocks)) < first
        or (
            blocks < last
            and not restless
            and group.cells[-1] not in decided
            and not run.obstacles.between(group.cells[0], group.cells[-1])
        )
    )


def _accuracy_losses(
    run: Observations, thresholds: Mapping[str, Thresholds], terms: GateTerms
) -> dict[str, Worsening]:
    """Head → whether its final accuracy is lower, seed by seed; heads with too few are left out."""
    losses: dict[str, Estimate] = {}
    for pair in convergences(run):
        if pair.cell in thresholds and len(pair.differences) >= LEAST_SEEDS:
            loss = accuracy_difference(-np.array(pair.differences))
            assert loss is not None, "there are seeds"
            losses[pair.cell] = loss
    limits = [accuracy_limits(thresholds[head]) for head in losses]
    found = worsenings(list(losses.values()), limits, terms.alpha)
    return dict(zip(losses, found, strict=True))


def _gated(
    run: Observations,
    base: str,
    head: str,
    thresholds: Thresholds,
    slower: Slowdown | None,
    loss: Worsening | None,
) -> GatedCell:
    """One cell, with all that was found of it.

    Args:
        run: the gate's.
        base, head: ids of the two cells.
        thresholds: the head's.
        slower: what the family's rule says of its time.
        loss: what it says of its final accuracy.
    """
    verdict = next(
        each for each in judge(run).verdicts if (each.against, each.cell) == (base, head)
    )
    speed = _speed(run, verdict, thresholds, slower)
    found = GatedCell(
        series=run.cells[head].series,
        base=base,
        head=head,
        speed=speed.word,
        accuracy="not_judged",
        parity=run.proof(head),
        thresholds=thresholds,
        detail=speed.detail,
        blocks=speed.blocks,
        noise_floor=verdict.noise_floor,
        base_trained_at=_trained_at(run, base),
        confounders=verdict.confounders,
    )
    if speed.timed is not None:
        found = msgspec.structs.replace(
            found,
            slowdown=math.expm1(speed.timed.estimate.mean),
            slowdown_at_least=math.expm1(speed.timed.at_least),
            slowdown_at_most=math.expm1(speed.timed.at_most),
            p_adjusted=speed.timed.p_adjusted,
        )
    if loss is not None:
        found = msgspec.structs.replace(
            found,
            accuracy="lower" if loss.word == "worse" else loss.word,
            accuracy_loss=loss.estimate.mean,
            accuracy_loss_at_least=loss.at_least,
            accuracy_loss_at_most=loss.at_most,
            seeds=loss.estimate.n,
        )
    return found


def _trained_at(run: Observations, cell: str) -> float | None:
    """When an earlier gate has trained ``cell``, if one has."""
    trials = (trial.started for block in run.long_blocks for trial in block.trials)
    return min(
        (one.trained_at for one in trials if one.cell == cell and one.trained_at is not None),
        default=None,
    )


class _SpeedOutcome(NamedTuple):
    """What becomes of a cell's speed, and why."""

    word: Speed
    detail: str = ""
    blocks: int = 0
    timed: Worsening | None = None
    """Nothing where no numbers are given."""


def _speed(
    run: Observations, verdict: Verdict, thresholds: Thresholds, slower: Slowdown | None
) -> _SpeedOutcome:
    """The rule's outcome, unless something stands in its way.

    Args:
        run: the gate's.
        verdict: of the head (``cell``) against the base (``against``).
        thresholds: the head's.
        slower: what the family's rule says; nothing where there are too few blocks.
    """
    failures = {
        cell: f"{failure.phase}: {failure.reason}" for cell, failure in run.failures.items()
    }
    of_head, of_base = failures.get(verdict.cell), failures.get(verdict.against, "")
    if verdict.status == "not_comparable":
        return _SpeedOutcome(
            "failed" if of_head else "not_compared", verdict.detail or of_head or of_base
        )
    restless = verdict.reason == "aa_failed"
    believed = slower is not None and slower.word == "worse"
    if believed and slower is not None and restless:
        believed = beyond_noise(slower.timed.at_least, failed_noise_floors(judge(run)))
    if of_head and not believed:
        return _SpeedOutcome("failed", of_head)
    if slower is None or verdict.status == "indicative":
        return _too_few(verdict, of_base, timed=slower is not None)
    timed = slower.timed
    blocks = timed.estimate.n
    if believed:
        why = f"{UNEQUAL}, but by less than a third of this at the most" if restless else ""
        return _SpeedOutcome("slower", why, blocks, timed)
    if restless:
        return _SpeedOutcome("too_noisy", UNEQUAL, blocks, timed)
    if slower.word == "open":
        why = f"{blocks} blocks leave it open, and the next look was not reached"
        return _SpeedOutcome("too_noisy", why, blocks, timed)
    if slower.word == "too_noisy":
        why = f"a slowdown of {thresholds.blind_to:.0%} could have gone unseen"
        return _SpeedOutcome("too_noisy", why, blocks, timed)
    return _SpeedOutcome("held", "", blocks, timed)


def _too_few(verdict: Verdict, failure: str, *, timed: bool) -> _SpeedOutcome:
    """``failure``: of the base. ``timed``: whether it is the second copy that lacks blocks."""
    if verdict.blocks == 0:
        return _SpeedOutcome("not_compared", verdict.detail or failure)
    why = f"{verdict.blocks} blocks with both, expected {LEAST_BLOCKS} or more"
    if verdict.blocks >= LEAST_BLOCKS:
        why = f"{verdict.blocks} blocks with both, and the first look was not reached"
    if timed:
        why = f"fewer than {LEAST_BLOCKS} blocks with the base's second copy"
    return _SpeedOutcome("too_noisy", why, verdict.blocks)
