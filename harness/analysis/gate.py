"""The regression gate: has a cell become slower, less accurate, or wrong, since its base?

*Speed.* Base and head took turns in the same blocks. Per block the median over rounds of the log
ratio of paired windows' times, head ÷ base; over blocks the mean. A one-sided t-test (Student,
1908) of a slowdown of at most the threshold (2 %), Holm (1979) over all cells: below α (.01) the
cell is *slower*. Else, where the one-sided 95 % upper bound lies below ``blind_to`` (10 %), speed
has *held*; else the gate has seen too little, *too noisy*. So has every cell where a reference
differed from its own second copy.

*Accuracy.* Long trials share data, initial weights and order seed by seed: a one-sided paired
t-test of a loss of at most the threshold (0.5 points), Holm over all cells, α as above.

*Parity.* Both are held against the oracle. What the head fails is *lost*; where only the base
fails, the head has mended it and there is nothing to compare its speed with.

One look only, at the planned number of blocks: 10 for one cell, 20 for several, which at a block SD
of 5 % give about 95 % power for a slowdown of 10 % and less than 0.1 % false alarms: see ``power``,
and ``docs/methodology.md`` for what recorded noise makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from harness.analysis.convergence import LEAST_SEEDS, Convergence, Paired, convergences
from harness.analysis.estimates import Contender, Estimate, Floats, estimate, log_ratios, sample
from harness.analysis.judgement import Interval, Judgement
from harness.analysis.parity import parity_results
from harness.analysis.protocol import LEAST_BLOCKS, holm
from harness.analysis.trials import finished_blocks
from harness.analysis.verdicts import judge
from harness.spec.cells import Cell
from harness.spec.events import Failure, Run
from harness.spec.gates import GateTerms, Thresholds

BLOCKS_FOR_ONE = 10
BLOCKS_FOR_SEVERAL = 20
UPPER_CONFIDENCE = 0.95
"""One-sided, of the slowdown that could have gone unseen."""

Speed = Literal["held", "slower", "too_noisy", "failed", "not_compared"]
Accuracy = Literal["held", "lower", "not_judged"]
Parity = Literal["proved", "lost", "not_run"]


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
    seeds: int = 0
    confounders: tuple[str, ...] = ()
    """What else differs between the two environments."""


class GateJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate says."""

    run: str
    base: str
    commit: str | None
    cells: tuple[GatedCell, ...]
    exit_code: int
    """0 all held; 1 slower or less accurate; 2 failed, or nothing to compare; 3 parity lost; 4 too
    noisy."""


class SlowdownTest(NamedTuple):
    """What the blocks of one cell say against its threshold."""

    estimate: Estimate
    """Of log(time of the head ÷ time of the base)."""
    p_adjusted: float
    at_least: float
    at_most: float
    slower: bool
    blind: bool
    """Whether a slowdown of ``blind_to`` could have gone unseen."""


def slowdown_tests(
    logs: Sequence[Floats], thresholds: Sequence[Thresholds], alpha: float
) -> list[SlowdownTest]:
    """One for each cell of a family, from its log(time of the head ÷ time of the base) by block.

    Each has 2 blocks or more.
    """
    estimates = [_known(estimate(each)) for each in logs]
    limits = [math.log1p(each.slowdown) for each in thresholds]
    p_values = [_p_above(of, limit) for of, limit in zip(estimates, limits, strict=True)]
    adjusted = holm(p_values)
    levels = _holm_levels(p_values, alpha)
    found = []
    for of, p, level, own in zip(estimates, adjusted, levels, thresholds, strict=True):
        at_most = math.expm1(of.mean + _half(of, UPPER_CONFIDENCE))
        slower = p < alpha
        found.append(
            SlowdownTest(
                estimate=of,
                p_adjusted=p,
                at_least=math.expm1(of.mean - _half(of, level)),
                at_most=at_most,
                slower=slower,
                blind=not slower and at_most >= own.blind_to,
            )
        )
    return found


def planned_blocks(cells: int) -> int:
    """How many blocks a gate of so many cells needs."""
    return BLOCKS_FOR_ONE if cells == 1 else BLOCKS_FOR_SEVERAL


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
    thresholds = [terms.of(cells[head].series) for head in tested]
    tests = dict(
        zip(
            tested,
            slowdown_tests([logs[head] for head in tested], thresholds, terms.alpha),
            strict=True,
        )
    )
    losses = _accuracy_losses(convergences(run), pairs_of=[group.cells for group in pairs])
    loss_tests = _loss_tests(losses, {cell: terms.of(cells[cell].series) for cell in losses}, terms)
    gated = [
        _gated(run, judgement, cells[base], cells[head], terms, tests, loss_tests)
        for base, head in (group.cells for group in pairs)
    ]
    return GateJudgement(
        run=run.manifest.run,
        base=terms.base,
        commit=terms.commit,
        cells=tuple(gated),
        exit_code=_exit_code(gated),
    )


class _Loss(NamedTuple):
    """What the seeds of one cell say about its accuracy."""

    of: Paired
    at_least: float
    lower: bool


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
        thresholds=terms.of(head.series),
        noise_floor=verdict.noise_floor,
        confounders=verdict.confounders,
    )
    loss = losses.get(head.id)
    if loss:
        found = msgspec.structs.replace(
            found,
            accuracy="lower" if loss.lower else "held",
            accuracy_loss=loss.of.mean,
            accuracy_loss_at_least=loss.at_least,
            seeds=loss.of.seeds,
        )
    failures = {
        event.cell: f"{event.phase}: {event.reason}"
        for event in run.events
        if isinstance(event, Failure)
    }
    test = tests.get(head.id)
    if test is None and verdict.status == "indicative":
        few = f"{verdict.blocks} blocks with both, expected {LEAST_BLOCKS} or more"
        return msgspec.structs.replace(found, speed="too_noisy", blocks=verdict.blocks, detail=few)
    if verdict.status == "not_comparable" or test is None:
        failed = head.id in failures and base.id not in failures
        return msgspec.structs.replace(
            found,
            speed="failed" if failed else "not_compared",
            detail=verdict.detail or failures.get(head.id) or failures.get(base.id, ""),
        )
    if verdict.reason == "aa_failed":
        speed: Speed = "too_noisy"
        detail = "the base differed from its own second copy"
    elif test.slower:
        speed, detail = "slower", ""
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
    own = [result for result in parity_results(run) if result.cell == cell]
    if not own:
        return "not_run"
    return "proved" if all(result.passed for result in own) else "lost"


def _exit_code(cells: Sequence[GatedCell]) -> int:
    if any(cell.parity == "lost" for cell in cells):
        return 3
    if any(cell.speed == "slower" or cell.accuracy == "lower" for cell in cells):
        return 1
    if any(cell.speed == "failed" for cell in cells):
        return 2
    if any(cell.speed == "too_noisy" for cell in cells):
        return 4
    return 0 if any(cell.speed == "held" for cell in cells) else 2


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
        losses.items(), holm(p_values), _holm_levels(p_values, terms.alpha), strict=True
    ):
        quantile = float(special.stdtrit(of.seeds - 1, level))
        found[cell] = _Loss(of, of.mean - quantile * of.error, adjusted < terms.alpha)
    return found


def _holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
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


def _half(of: Estimate, confidence: float) -> float:
    """From the mean to a one-sided bound."""
    return float(special.stdtrit(of.blocks - 1, confidence)) * of.sd / math.sqrt(of.blocks)


def _p_above(of: Estimate, limit: float) -> float:
    """One-sided p of a mean of at most ``limit``."""
    if of.sd == 0:
        return 0.0 if of.mean > limit else 1.0
    return float(special.stdtr(of.blocks - 1, -(of.mean - limit) / (of.sd / math.sqrt(of.blocks))))


def _known(of: Estimate | None) -> Estimate:
    assert of is not None, "a cell without blocks is in no family"
    return of
