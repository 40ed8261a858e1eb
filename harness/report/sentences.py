"""Verdicts in words: the same ones in HTML, Markdown and the terminal."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from harness.analysis.convergence import Convergence, convergences
from harness.analysis.curves import curves_by_cell
from harness.analysis.estimate import Interval
from harness.analysis.foreign import FOREIGN_LIMIT
from harness.analysis.judgement import (
    REASONS,
    GroupJudgement,
    Judgement,
    NoiseFloor,
    Verdict,
)
from harness.analysis.observations import Observations
from harness.analysis.protocol import plans_short_blocks
from harness.analysis.reproduction import Reproduction, reproductions
from harness.report.accuracy_sentences import (
    convergence_lines,
    learning_order,
    reproduction_lines,
)
from harness.report.cast import Cast, cast_of, place_in_words
from harness.report.formats import bounds, count, duration, joined, level, p_value, times
from harness.report.paces import block_seconds
from harness.report.page import Badge, Tone, VerdictGroup, VerdictLine
from harness.report.remarks import (
    final_accuracies,
    noise_floor_in_words,
    noise_remark,
    ratio_in_words,
)
from harness.spec.manifest import Group

MORE_THAN_ANYONE_WAITS = 1_000
"""Blocks: beyond it a judgement says only that it takes more."""

TONES: dict[str, Tone] = {
    "faster": "good",
    "equivalent": "good",
    "inconclusive": "doubt",
    "indicative": "doubt",
    "not comparable": "bad",
    "not measured": "quiet",
}


def verdict_groups(run: Observations, judgement: Judgement) -> tuple[VerdictGroup, ...]:
    """The lines of each group, with what must stand beside them.

    Speed where short trials were planned; convergence and reproduction where long ones with several
    seeds were. A group that none of them says anything about is left out.
    """
    cast = cast_of(run.manifest)
    plan = run.manifest.plan
    timed = plans_short_blocks(plan) or bool(judgement.rates)
    learned = _Learned(
        convergences(run) if len(plan.seeds) > 1 else (),
        reproductions(run) if len(plan.seeds) > 1 else (),
    )
    paces = block_seconds(run)
    learned_by = curves_by_cell(run) if plan.long_trials and len(plan.seeds) < 2 else {}
    groups = []
    for group in judgement.groups:
        long = learned.of(group.group)
        if timed or long.reproductions:
            pace = paces.get(group.group)
            told = _verdict_group(group, judgement, cast, long, timed=timed, pace=pace)
            ends = final_accuracies(cast.group(group.group), learned_by, cast)
            groups.append(
                msgspec.structs.replace(told, notes=(*told.notes, *([ends] if ends else ())))
            )
    return tuple(groups)


def verdict_line(verdict: Verdict, cast: Cast, block_seconds: float | None = None) -> VerdictLine:
    """``verdict`` as a sentence, with its interval, n, level and noise floor beside it.

    With ``block_seconds``, how long a block takes, an open pair says how long settling it would.
    """
    word, sentence = _sentence(verdict, cast, block_seconds)
    if verdict.confounders and verdict.times_faster is not None:
        # Their "against" is that of the record, whoever is the subject of the sentence.
        one, other = cast.name(verdict.cell), cast.name(verdict.against)
        sentence += f" {one} against {other}: {'; '.join(verdict.confounders)}."
    return VerdictLine(
        word=word, tone=TONES[word], sentence=sentence, evidence=_evidence(verdict, cast)
    )


def shown_interval(verdict: Verdict) -> Interval | None:
    """The interval that the verdict rests on: of an equivalence, the one held against ±3 %."""
    if verdict.verdict == "equivalent":
        return verdict.equivalence_interval
    return verdict.interval


def parity_badge(cells: tuple[str, ...], judgement: Judgement) -> Badge:
    """Whether all of ``cells`` were proved to compute what the oracle computes."""
    results = [result for result in judgement.parity if result.cell in cells]
    failed = len({result.cell for result in results if not result.passed})
    missing = len(set(cells) - {result.cell for result in results})
    all_cells = count(len(cells), "cell")
    if failed:
        return Badge("parity", f"failed for {failed} of {all_cells}", "bad")
    if missing == len(cells):
        return Badge("parity", "not run", "doubt")
    if missing:
        return Badge("parity", f"not run for {missing} of {all_cells}", "doubt")
    return Badge("parity", f"proved for {all_cells}", "good")


class _Learned(NamedTuple):
    """What long trials over several seeds say."""

    convergences: tuple[Convergence, ...]
    reproductions: tuple[Reproduction, ...]

    def of(self, group: str) -> _Learned:
        """Of one group."""
        return _Learned(
            tuple(each for each in self.convergences if each.group == group),
            tuple(each for each in self.reproductions if each.group == group),
        )


def _verdict_group(
    group: GroupJudgement,
    judgement: Judgement,
    cast: Cast,
    learned: _Learned,
    *,
    timed: bool,
    pace: float | None,
) -> VerdictGroup:
    planned = cast.group(group.group)
    speed = [each for each in judgement.verdicts if each.group == group.group and timed]
    badges = [parity_badge(planned.cells, judgement)]
    if timed:
        badges += [_noise_badge(group.noise_floor), Badge("blocks", f"{group.blocks:,}", "plain")]
    if learned.reproductions:
        seeds = max(len(each.seeds) for each in learned.reproductions)
        badges.append(Badge("seeds", f"{seeds}", "plain"))
    confounders = dict.fromkeys(clause for each in speed for clause in each.confounders)
    badges += [Badge("confounder", clause, "doubt") for clause in confounders]
    return VerdictGroup(
        title=cast.title(planned),
        order=_order(group, cast)
        if timed
        else learning_order(learned.reproductions, learned.convergences),
        notes=tuple(filter(None, (noise_remark(group, speed, cast),))),
        contenders=_contenders(planned, cast),
        badges=tuple(badges),
        lines=(
            *(verdict_line(each, cast, pace) for each in speed),
            *(line for each in learned.reproductions for line in reproduction_lines(each, cast)),
            *convergence_lines(learned.convergences, cast),
        ),
    )


def _contenders(group: Group, cast: Cast) -> str:
    """``A 1.2, compiled; B 3.4, eager``, and on what they ran where the title is another."""
    names = [cast.member(cell).full_name for cell in group.cells]
    known = [cell for cell in (cast.member(each).cell for each in group.cells) if cell]
    places = dict.fromkeys(place_in_words(cell) for cell in known) if group.title else ()
    return "; ".join([*dict.fromkeys(names), *places])


def _noise_badge(floor: NoiseFloor | None) -> Badge:
    if floor is None:
        return Badge("noise floor (A/A)", "not measured", "doubt")
    tone: Tone = "bad" if floor.failed else "good" if floor.verdict else "doubt"
    state = " failed" if floor.failed else ""
    return Badge("noise floor (A/A)", noise_floor_in_words(floor) + state, tone)


def _order(group: GroupJudgement, cast: Cast) -> str:
    """Who is ranked, fastest first, or why nobody is."""
    if group.tiers:
        tiers = [joined([cast.name(cell) for cell in tier]) for tier in group.tiers]
        return "Fastest first: " + ", then ".join(tiers) + "."
    if group.unranked_reason:
        return f"Not ranked: {REASONS[group.unranked_reason]}."
    return "Nothing to rank: fewer than two contenders can be compared."


def _sentence(verdict: Verdict, cast: Cast, block_seconds: float | None) -> tuple[str, str]:
    """The word of the verdict and its sentence; the faster contender is the subject."""
    one, other = cast.name(verdict.cell), cast.name(verdict.against)
    label = cast.label(cast.group(verdict.group))
    why = _because(verdict, cast)
    if verdict.status == "not_comparable":
        return "not comparable", f"{one} and {other} are not comparable on {label}: {why}."
    if verdict.status == "not_measured":
        return "not measured", f"{one} and {other} were not compared on {label}: {why}."
    if verdict.times_faster is None:
        return "inconclusive", f"{one} against {other} on {label} is inconclusive: {why}."
    numbers = ratio_in_words(verdict.times_faster, shown_interval(verdict))
    if verdict.status == "indicative":
        return "indicative", (
            f"{one} ran {label} at {numbers} the rate of {other}, which is indicative and ranks "
            f"nothing: {why}."
        )
    if verdict.verdict == "faster":
        return "faster", f"{one} trains {label} {numbers} faster than {other}."
    if verdict.verdict == "slower":
        return "faster", f"{other} trains {label} {_inverted(verdict)} faster than {one}."
    if verdict.verdict == "equivalent":
        return "equivalent", f"{other} and {one} are equivalent on {label} within ±3 %: {numbers}."
    return "inconclusive", (
        f"{one} against {other} on {label} is inconclusive at {numbers}: "
        f"{_way_out(verdict, block_seconds)}."
    )


def _because(verdict: Verdict, cast: Cast) -> str:
    """The reason as a clause; where it is about one of the two, that one is its subject."""
    clause, about = REASONS[verdict.reason], _about(verdict)
    return f"{cast.name(about)} {clause.removeprefix('it ')}" if about else clause


def _inverted(verdict: Verdict) -> str:
    assert verdict.times_faster is not None
    interval = verdict.interval
    if interval is not None:
        interval = Interval(
            low=1 / interval.high, high=1 / interval.low, confidence=interval.confidence
        )
    return ratio_in_words(1 / verdict.times_faster, interval)


def _way_out(verdict: Verdict, block_seconds: float | None) -> str:
    """What would settle an inconclusive pair, or why nothing in this run can."""
    if verdict.reason != "not_settled" or verdict.blocks_to_settle is None:
        return REASONS[verdict.reason]
    if verdict.blocks_to_settle > MORE_THAN_ANYONE_WAITS:
        return f"more than {MORE_THAN_ANYONE_WAITS:,} blocks would be needed to settle it"
    more = max(1, verdict.blocks_to_settle - verdict.blocks)
    long = f", {duration(more * block_seconds)}," if block_seconds else ""
    return f"about {count(more, 'more block')}{long} would settle it"


def _evidence(verdict: Verdict, cast: Cast) -> str:
    if verdict.times_faster is None:
        return _detail(verdict)
    parts = []
    shown = shown_interval(verdict)
    interval = f"{level(shown)} interval " if shown else ""
    parts.append(f"{interval}over {count(verdict.blocks, 'block')}")
    if p_value(verdict.p_adjusted):
        parts.append(f"{p_value(verdict.p_adjusted)} after Holm")
    if verdict.noise_floor is not None:
        parts.append(f"noise floor (A/A) {bounds(verdict.noise_floor)}")
    if verdict.stalling is not None and verdict.times_faster_by_total_time is not None:
        parts.append(
            f"periodic stalls in {cast.name(verdict.stalling)}: by total time "
            f"{cast.name(verdict.cell)} is at {times(verdict.times_faster_by_total_time)}"
        )
    if verdict.taken_cpus is not None and verdict.taken_cpus > FOREIGN_LIMIT:
        much = "a CPU or more" if verdict.taken_cpus >= 1 else f"{verdict.taken_cpus:.2f} CPUs"
        parts.append(f"others took {much} from the threads of one of them")
    if _detail(verdict):
        parts.append(_detail(verdict))
    return "; ".join(parts)


def _detail(verdict: Verdict) -> str:
    """What exactly stands in the way, without the cell's id where the sentence names it."""
    about = _about(verdict)
    return verdict.detail.removeprefix(about).removeprefix(": ") if about else verdict.detail


def _about(verdict: Verdict) -> str:
    """The cell of the pair that the reason is about: its id begins the detail. Or nothing."""
    cells = (verdict.cell, verdict.against)
    clause = REASONS[verdict.reason]
    about = [cell for cell in cells if verdict.detail.startswith(cell) and clause.startswith("it ")]
    return max(about, key=len, default="")
