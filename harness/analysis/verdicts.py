"""Verdicts of a run: the decision protocol (``protocol``) applied to its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.analysis.builds import confounders
from harness.analysis.comparability import Obstacle, Obstacles
from harness.analysis.flags import block_flags, contender_flags, foreign_flags, stalling
from harness.analysis.foreign import ForeignLoad, may_decide, wanted_cpus
from harness.analysis.judgement import GroupJudgement, Judgement, Look, NoiseFloor, Reason, Verdict
from harness.analysis.observations import Observations, once
from harness.analysis.protocol import (
    Finding,
    Pair,
    conclusion,
    deciding,
    findings,
    planned_looks,
    rule_at,
)
from harness.analysis.ranking import left_out, ranking
from harness.analysis.samples import (
    Contender,
    Sample,
    by_block,
    log_ratios,
    mean_log,
    rate_by_total_time,
    rates,
)
from harness.spec.machine import Environment
from harness.spec.manifest import Group


class _Floor(NamedTuple):
    """A group's noise floor, and the looks at which it was known."""

    record: NoiseFloor
    looks: frozenset[int]


class _Circumstances(NamedTuple):
    """What all pairs of a run share."""

    looks: tuple[Look, ...]
    floors: Mapping[str, _Floor]
    obstacles: Obstacles
    failures: Mapping[str, str]
    """Cell → why it failed last."""
    environments: Mapping[str, Environment]
    """Cell → its environment."""
    foreign: ForeignLoad

    @property
    def aa_failed(self) -> bool:
        """Whether any group's reference came out different from its second copy."""
        return any(floor.record.failed for floor in self.floors.values())


@once
def judge(run: Observations) -> Judgement:
    """Every verdict of ``run``, and all that stands beside verdicts."""
    manifest = run.manifest
    looks = planned_looks(manifest.plan)
    groups = manifest.plan.groups
    samples = list(run.samples.values())
    around = _Circumstances(
        looks,
        _noise_floors(samples, looks) if manifest.plan.aa else {},
        run.obstacles,
        {cell: failure.reason for cell, failure in run.failures.items()},
        run.environments,
        ForeignLoad(run.cells, wanted_cpus(manifest.cells, manifest.machine.cores)),
    )
    pairs = [
        _pair(of, Contender(cell), Contender(against), around.obstacles.between(cell, against))
        for of, group in zip(samples, groups, strict=True)
        for against, cell in combinations(group.cells, 2)
    ]
    verdicts = _verdicts(pairs, around)
    measured = tuple(rate for of in samples for rate in rates(of))
    return Judgement(
        groups=tuple(
            _group_judgement(group, of, verdicts, around)
            for of, group in zip(samples, groups, strict=True)
        ),
        verdicts=verdicts,
        rates=measured,
        parity=run.held,
        looks=looks,
        block_flags=(
            *block_flags(run.short_blocks, manifest.machine.cores),
            *foreign_flags(samples, around.foreign.wanted),
        ),
        contender_flags=tuple(contender_flags(samples, measured, manifest.cells)),
    )


def groups_to_continue(run: Observations) -> tuple[str, ...]:
    """Names of the groups that have to go on to their next planned look.

    Those before their first look, and those before a later one that have a pair left open which
    more blocks may settle: where A/A failed or is missing, they cannot.
    """
    judgement = judge(run)
    first, last = judgement.looks[0].blocks, judgement.looks[-1].blocks
    left_open = {
        verdict.group
        for verdict in judgement.verdicts
        if verdict.reason in ("not_settled", "too_few_blocks")
    }
    return tuple(
        each.group
        for each in judgement.groups
        if each.blocks < first or (each.blocks < last and each.group in left_open)
    )


def _pair(
    of: Sample, contender: Contender, against: Contender, obstacle: Obstacle | None = None
) -> Pair:
    return Pair(of, contender, against, log_ratios(of, contender, against), obstacle)


def _noise_floors(samples: Sequence[Sample], looks: Sequence[Look]) -> dict[str, _Floor]:
    """Group → its reference's second copy against its first, where they share a block."""
    pairs = [
        _pair(of, twin, Contender(twin.cell))
        for of in samples
        for twin in of.contenders
        if twin.twin
    ]
    return {
        pair.sample.group: _Floor(record, frozenset(each.look.blocks for each in found))
        for pair, found in zip(pairs, findings(pairs, looks), strict=True)
        if (record := _noise_floor(pair, found, looks[0]))
    }


def _noise_floor(pair: Pair, found: Sequence[Finding], first: Look) -> NoiseFloor | None:
    failed = [each for each in found if each.word in ("faster", "slower")]
    final = deciding(failed or found[-1:])
    shown = final.estimate if final else mean_log(pair.logs)
    if shown is None:
        return None
    look = final.look if final else first
    return NoiseFloor(
        group=pair.sample.group,
        cell=pair.contender.cell,
        verdict=final.word if final else None,
        failed=bool(failed),
        times_faster=shown.ratio,
        interval=shown.ratio_interval(1 - look.difference_alpha),
        equivalence_interval=shown.ratio_interval(1 - 2 * look.equivalence_alpha),
        p=final.estimate.p if final else None,
        p_adjusted=final.p_adjusted if final else None,
        blocks=shown.n,
        look=final.look if final else None,
        times_faster_by_block=by_block(pair.logs[: final.look.blocks if final else None]),
    )


def _verdicts(pairs: Sequence[Pair], around: _Circumstances) -> tuple[Verdict, ...]:
    family = [pair for pair in pairs if not pair.obstacle]
    of_family = iter(findings(family, around.looks))
    verdicts = []
    for pair in pairs:
        found = () if pair.obstacle else next(of_family)
        floor = around.floors.get(pair.sample.group)
        # A look at which A/A is unknown says nothing.
        final = deciding([each for each in found if floor and each.look.blocks in floor.looks])
        # A failure anywhere condemns the whole run; a group without A/A lacks it all the same.
        aa = False if around.aa_failed else True if floor else None
        both = pair.contender, pair.against
        taken = around.foreign.taken(pair.sample, both, _rows(pair, final))
        overloaded = (
            final is not None
            and may_decide(taken, final.word, final.estimate, final.look)
            and not around.foreign.hits_alike(*both)
        )
        status, word, reason = conclusion(pair, final, around.looks, aa=aa, overloaded=overloaded)
        verdict = Verdict(
            group=pair.sample.group,
            cell=pair.contender.cell,
            against=pair.against.cell,
            status=status,
            verdict=word,
            reason=reason,
            detail=_detail(pair, reason, around),
            noise_floor=floor.record.interval if floor else None,
            confounders=_confounders(pair, around.environments),
            taken_cpus=taken,
        )
        if not pair.obstacle and status != "not_measured":
            verdict = _with_numbers(verdict, pair, final, around.looks[0], len(family))
        verdicts.append(verdict)
    return tuple(verdicts)


def _confounders(pair: Pair, environments: Mapping[str, Environment]) -> tuple[str, ...]:
    """Between two frameworks everything differs, and that is the question; within one it is not."""
    one, other = (environments.get(each.cell) for each in (pair.contender, pair.against))
    if one is None or other is None or one.framework != other.framework:
        return ()
    return confounders(one, other)


def _rows(pair: Pair, final: Finding | None) -> NDArray[np.bool_]:
    """Mask of the blocks with both, up to the look that made the verdict."""
    rows = ~np.isnan(pair.logs)
    rows[final.look.blocks if final else len(rows) :] = False
    return rows


def _detail(pair: Pair, reason: Reason, around: _Circumstances) -> str:
    if pair.obstacle and reason == pair.obstacle.reason:
        return pair.obstacle.detail
    if reason != "not_measured":
        return ""
    missing = [each.cell for each in (pair.contender, pair.against) if not pair.sample.has(each)]
    return "; ".join(f"{cell}: {around.failures.get(cell, 'no trial')}" for cell in missing)


def _with_numbers(
    verdict: Verdict, pair: Pair, final: Finding | None, first: Look, family: int
) -> Verdict:
    """``verdict`` with the numbers of the look that made it, or else of all finished blocks."""
    shown = final.estimate if final else mean_log(pair.logs)
    if shown is None:
        return verdict
    look = final.look if final else first
    rows = _rows(pair, final)
    totals = [
        rate_by_total_time(pair.sample, each, rows) for each in (pair.contender, pair.against)
    ]
    return msgspec.structs.replace(
        verdict,
        times_faster=shown.ratio,
        interval=shown.ratio_interval(1 - look.difference_alpha),
        equivalence_interval=shown.ratio_interval(1 - 2 * look.equivalence_alpha),
        p=final.estimate.p if final else None,
        p_adjusted=final.p_adjusted if final else None,
        blocks=shown.n,
        look=final.look if final else None,
        blocks_to_settle=(
            rule_at(look).values_to_settle(shown, family)
            if verdict.reason == "not_settled"
            else None
        ),
        times_faster_by_total_time=totals[0] / totals[1],
        stalling=stalling(pair.sample, pair.contender, pair.against, rows),
        times_faster_by_block=by_block(pair.logs[rows]),
    )


def _group_judgement(
    group: Group, of: Sample, verdicts: Sequence[Verdict], around: _Circumstances
) -> GroupJudgement:
    measured = {cell for cell in group.cells if of.has(Contender(cell))}
    out = left_out(group.cells, measured, around.obstacles.of_cells, around.failures)
    remaining = [cell for cell in group.cells if cell not in {each.cell for each in out}]
    tiers, unranked_reason = ranking(
        remaining, [each for each in verdicts if each.group == group.name]
    )
    floor = around.floors.get(group.name)
    return GroupJudgement(
        group=group.name,
        reference=group.cells[0],
        blocks=len(of.blocks),
        noise_floor=floor.record if floor else None,
        left_out=out,
        tiers=tiers,
        unranked_reason=unranked_reason,
    )
