"""The regression gate: has a cell become slower, less accurate, or wrong, since its base?

*Speed.* Base and head took turns in the same blocks. A test of a slowdown (see ``slowdown``) over
all cells: below α (.01) the cell is *slower*. Else, where the one-sided 95 % upper bound lies below
``blind_to`` (10 %), speed has *held*; else the gate has seen too little, *too noisy*. So has every
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
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from scipy import special

from harness.analysis.convergence import LEAST_SEEDS, Convergence, Paired, convergences
from harness.analysis.estimates import Contender, Floats, log_ratios, sample
from harness.analysis.held import held_results
from harness.analysis.judgement import Interval, Judgement
from harness.analysis.outcomes import Accuracy, Parity, Speed, exit_code
from harness.analysis.protocol import LEAST_BLOCKS, holm
from harness.analysis.slowdown import (
    UPPER_CONFIDENCE,
    SlowdownTest,
    beyond_noise,
    failed_noise_floors,
    holm_levels,
    slowdown_tests,
)
from harness.analysis.trials import finished_blocks
from harness.analysis.verdicts import judge
from harness.spec.cells import Cell
from harness.spec.events import Failure, Run, Skip
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
    parity: Parity
    """Of the head."""
    thresholds: Thresholds
    detail: str = ""
    """Why it was not compared, or failed."""
    slowdown: float | None = None
    """Time of a window of the head ÷ that of the base, minus 1: below 0 it became faster."""
    slowdown_at_least: float | None = None
    """Holm-adjusted lower bound."""
    slowdown_at_most: float | None = None
    """Upper bound of one-sided confidence 0.95, not adjusted."""
    p_adjusted: float | None = None
    """Of a slowdown of at most the threshold."""
    blocks: int = 0
    noise_floor: Interval | None = None
    """What the base shows against its own second copy, as ratio of rates."""
    accuracy_loss: float | None = None
    """Mean over seeds of the final test accuracy of the base − that of the head, a fraction."""
    accuracy_loss_at_least: float | None = None
    """Holm-adjusted lower bound."""
    accuracy_loss_at_most: float | None = None
    """Upper bound of one-sided confidence 0.95, not adjusted."""
    seeds: int = 0
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


def gate(run: Run) -> GateJudgement:
    """What ``run``, planned as a gate, says of each cell."""
    terms = run.manifest.gate or GateTerms(base="")
    judgement = judge(run)
    cells = {cell.id: cell for cell in run.manifest.cells}
    pairs = [group for group in run.manifest.plan.groups if len(group.cells) == 2]
    blocks = finished_blocks(run, long=False)
    logs: dict[str, Floats] = {}
    for group in pairs:
        of = sample(group, blocks)
        base, head = (Contender(cell) for cell in group.cells)
        # Rates are examples by time: the base's over the head's are times the other way round.
        values = log_ratios(of, base, head)[: max(run.manifest.plan.looks)]
        logs[group.cells[1]] = values[~np.isnan(values)]
    tested = [head for head, values in logs.items() if len(values) >= LEAST_BLOCKS]
    thresholds = [terms.of(cells[head]) for head in tested]
    tests = dict(
        zip(
            tested,
            slowdown_tests([logs[head] for head in tested], thresholds, terms.alpha),
            strict=True,
        )
    )
    losses = _accuracy_losses(convergences(run), pairs_of=[group.cells for group in pairs])
    loss_tests = _loss_tests(losses, {cell: terms.of(cells[cell]) for cell in losses}, terms)
    gated = [
        _gated(run, judgement, cells[base], cells[head], terms, tests, loss_tests)
        for base, head in (group.cells for group in pairs)
    ]
    left_out = tuple(
        NotCompared(what=event.what, reason=event.reason)
        for event in run.events
        if isinstance(event, Skip)
    )
    missing = bool(left_out) or any(cell.speed == "not_compared" for cell in gated)
    return GateJudgement(
        run=run.manifest.run,
        base=terms.base,
        commit=terms.commit,
        tip=terms.tip,
        head=run.manifest.git_commit,
        strict=terms.strict,
        cells=tuple(gated),
        left_out=left_out,
        exit_code=exit_code(gated, incomplete=terms.strict and missing),
    )


class _Loss(NamedTuple):
    """What the seeds of one cell say about its accuracy."""

    of: Paired
    at_least: float
    at_most: float
    word: Accuracy


def _gated(
    run: Run,
    judgement: Judgement,
    base: Cell,
    head: Cell,
    terms: GateTerms,
    tests: Mapping[str, SlowdownTest],
    losses: Mapping[str, _Loss],
) -> GatedCell:
    verdict = next(
        each for each in judgement.verdicts if (each.against, each.cell) == (base.id, head.id)
    )
    found = GatedCell(
        series=head.series,
        base=base.id,
        head=head.id,
        speed="not_compared",
        accuracy="not_judged",
        parity=_parity(run, head.id),
        thresholds=terms.of(head),
        noise_floor=verdict.noise_floor,
        confounders=verdict.confounders,
    )
    loss = losses.get(head.id)
    if loss:
        found = msgspec.structs.replace(
            found,
            accuracy=loss.word,
            accuracy_loss=loss.of.mean,
            accuracy_loss_at_least=loss.at_least,
            accuracy_loss_at_most=loss.at_most,
            seeds=loss.of.seeds,
        )
    failures = {
        event.cell: f"{event.phase}: {event.reason}"
        for event in run.events
        if isinstance(event, Failure)
    }
    test = tests.get(head.id)
    if verdict.status == "not_comparable":
        detail = verdict.detail or failures.get(head.id) or failures.get(base.id, "")
        speed: Speed = "failed" if head.id in failures else "not_compared"
        return msgspec.structs.replace(found, speed=speed, detail=detail)
    restless = verdict.reason == "aa_failed"
    floors = failed_noise_floors(judgement)
    slower = (
        test is not None
        and test.slower
        and (not restless or beyond_noise(math.log1p(test.at_least), floors))
    )
    if head.id in failures and not slower:
        return msgspec.structs.replace(found, speed="failed", detail=failures[head.id])
    if test is None or verdict.status == "indicative":
        detail = verdict.detail or failures.get(base.id, "")
        if verdict.blocks == 0:
            return msgspec.structs.replace(found, detail=detail)
        detail = f"{verdict.blocks} blocks with both, expected {LEAST_BLOCKS} or more"
        if test is not None:
            detail = f"fewer than {LEAST_BLOCKS} blocks with the base's second copy"
        return msgspec.structs.replace(
            found, speed="too_noisy", blocks=verdict.blocks, detail=detail
        )
    if slower:
        speed = "slower"
        detail = f"{UNEQUAL}, but by less than a third of this at the most" if restless else ""
    elif restless:
        speed, detail = "too_noisy", UNEQUAL
    elif test.blind:
        speed = "too_noisy"
        detail = f"a slowdown of {found.thresholds.blind_to:.0%} could have gone unseen"
    else:
        speed, detail = "held", ""
    return msgspec.structs.replace(
        found,
        speed=speed,
        detail=detail,
        slowdown=math.expm1(test.estimate.mean),
        slowdown_at_least=test.at_least,
        slowdown_at_most=test.at_most,
        p_adjusted=test.p_adjusted,
        blocks=test.estimate.blocks,
    )


def _parity(run: Run, cell: str) -> Parity:
    own = [result for result in held_results(run) if result.cell == cell]
    if not own:
        return "not_run"
    return "proved" if all(result.passed for result in own) else "lost"


def _accuracy_losses(
    found: Sequence[Convergence], pairs_of: Sequence[tuple[str, ...]]
) -> dict[str, Paired]:
    """Head → final accuracies of the base − its own, seed by seed."""
    known = {(each.against, each.cell): each for each in found}
    return {
        head: Paired(-np.array(known[base, head].differences))
        for base, head in pairs_of
        if (base, head) in known and len(known[base, head].differences) >= LEAST_SEEDS
    }


def _loss_tests(
    losses: Mapping[str, Paired], thresholds: Mapping[str, Thresholds], terms: GateTerms
) -> dict[str, _Loss]:
    p_values = [of.p_above(thresholds[cell].accuracy) for cell, of in losses.items()]
    found = {}
    for (cell, of), adjusted, level in zip(
        losses.items(), holm(p_values), holm_levels(p_values, terms.alpha), strict=True
    ):
        at_least = of.mean - float(special.stdtrit(of.seeds - 1, level)) * of.error
        at_most = of.mean + float(special.stdtrit(of.seeds - 1, UPPER_CONFIDENCE)) * of.error
        word: Accuracy = "held"
        if adjusted < terms.alpha:
            word = "lower"
        elif at_most >= thresholds[cell].accuracy_blind_to:
            word = "too_noisy"
        found[cell] = _Loss(of, at_least, at_most, word)
    return found
