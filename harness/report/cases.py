"""What each study asked of whom, and what came of it: what CI systems count and annotate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from harness.analysis.check import CheckedCell, CheckJudgement
from harness.analysis.gate import GatedCell, GateJudgement
from harness.analysis.micro_check import MicroComparison
from harness.analysis.observations import Observations
from harness.analysis.outcomes import Accuracy
from harness.analysis.parity import parity_verdict
from harness.analysis.seeds import CellOverSeeds
from harness.analysis.tax import Tax, taxes
from harness.report.check import usual_range
from harness.report.formats import NOTHING, bounds, count, times
from harness.report.gate import accuracy_in_words, bounds_in_words, unseen_loss
from harness.report.outcomes import SPEEDS, change_of_time, points_gained
from harness.spec.events import Skip
from harness.spec.micro import Micro

CaseOutcome = Literal["passed", "failure", "error", "skipped"]


class Case(NamedTuple):
    """One thing that was asked of one subject."""

    subject: str
    """A cell, a series, a benchmark, or what was left out."""
    asked: str
    """``speed``, ``accuracy``, ``parity``, ``measured`` and the like."""
    outcome: CaseOutcome = "passed"
    """``failure``: it is worse than it may be. ``error``: it could not be told. ``skipped``: it was
    not asked after all, or only as a warning."""
    title: str = ""
    """What is wrong, in two or three words; empty where it passed."""
    text: str = ""
    """The same in one line, with numbers."""


def run_cases(run: Observations) -> Iterator[Case]:
    """Of any run: each cell was measured, and computes what the oracle computes."""
    reasons = {result.cell: result.failures[0] for result in reversed(run.held) if result.failures}
    for cell in run.manifest.cells:
        if failure := run.failures.get(cell.id):
            text = f"{cell.id}: {failure.phase}: {failure.reason}"
            yield Case(cell.id, "measured", "error", "not measured", text)
        else:
            yield Case(cell.id, "measured")
        proof = run.proof(cell.id)
        if proof == "lost":
            text = f"{cell.id}: {reasons.get(cell.id, 'see the report')}"
            yield Case(cell.id, "parity", "failure", "parity lost", text)
        elif proof == "not_run":
            yield Case(cell.id, "parity", "skipped", "parity not run", f"{cell.id}: never held")
        else:
            yield Case(cell.id, "parity")
    for skip in run.all(Skip):
        yield Case(skip.what, "left out", "skipped", "left out", f"{skip.what}: {skip.reason}")


def tax_cases(run: Observations) -> Iterator[Case]:
    """Of a tax: as any run; and each adapter keeps to its goal."""
    yield from run_cases(run)
    for tax in taxes(run):
        yield _goal_case(tax)


def _goal_case(tax: Tax) -> Case:
    seen = "" if tax.times_handwritten_rate is None else f" {times(tax.times_handwritten_rate)}"
    if tax.interval is not None:
        seen += f" {bounds(tax.interval)}"
    text = f"{tax.adapter}:{seen} of the loop written by hand, goal ≥ {tax.goal:g}"
    outcomes: Mapping[str, tuple[CaseOutcome, str]] = {
        "met": ("passed", ""),
        "missed": ("failure", "goal missed"),
        "open": ("skipped", "goal open"),
        "not_comparable": ("failure", "not comparable"),
        "not_measured": ("error", "not measured"),
    }
    outcome, title = outcomes[tax.outcome]
    return Case(tax.adapter, "goal", outcome, title, text if title else "")


def gate_cases(found: GateJudgement) -> Iterator[Case]:
    """Of a gate: speed, accuracy and parity of each cell of the head."""
    lacking: CaseOutcome = "error" if found.strict else "skipped"
    for cell in found.cells:
        yield _speed_case(cell, bounds_in_words(cell), worse="failure", not_compared=lacking)
        yield _accuracy_case(
            cell,
            worse="failure",
            lost=accuracy_in_words(cell),
            unseen=unseen_loss(cell),
            lacking="fewer than 3 seeds with both",
        )
        yield _parity_case(cell)
    for each in found.left_out:
        yield Case(each.what, "left out", lacking, "left out", f"{each.what}: {each.reason}")


def check_cases(found: CheckJudgement) -> Iterator[Case]:
    """Of a check: as of a gate; what is only a warning without ``--strict`` is skipped."""
    worse: CaseOutcome = "failure" if found.strict else "skipped"
    for cell in found.cells:
        usual = f"{usual_range(cell)} is usual"
        yield _speed_case(cell, usual, worse=worse, not_compared="skipped")
        loss = NOTHING if cell.accuracy_loss is None else points_gained(cell.accuracy_loss)
        yield _accuracy_case(
            cell,
            worse=worse,
            lost=f"{loss} against earlier runs",
            unseen="a loss within the usual range could not be seen",
            lacking="too few earlier runs with the same seeds",
        )
        yield _parity_case(cell)


def _speed_case(
    cell: GatedCell | CheckedCell, bounds: str, *, worse: CaseOutcome, not_compared: CaseOutcome
) -> Case:
    if cell.speed == "held":
        return Case(cell.series, "speed")
    if cell.speed == "slower":
        text = f"{cell.series}: {change_of_time(cell.slowdown)} time a step, {bounds}"
        return Case(cell.series, "speed", worse, "speed lost", text)
    outcome = not_compared if cell.speed == "not_compared" else "error"
    text = f"{cell.series}: {cell.detail}"
    return Case(cell.series, "speed", outcome, f"speed {SPEEDS[cell.speed]}", text)


def _accuracy_case(
    cell: GatedCell | CheckedCell, *, worse: CaseOutcome, lost: str, unseen: str, lacking: str
) -> Case:
    outcomes: Mapping[Accuracy, tuple[CaseOutcome, str, str]] = {
        "lower": (worse, "accuracy lost", lost),
        "too_noisy": ("error", "accuracy too noisy", unseen),
        "not_judged": ("skipped", "accuracy not judged", lacking),
    }
    if cell.accuracy not in outcomes:
        return Case(cell.series, "accuracy")
    outcome, title, text = outcomes[cell.accuracy]
    return Case(cell.series, "accuracy", outcome, title, f"{cell.series}: {text}")


def _parity_case(cell: GatedCell | CheckedCell) -> Case:
    text = f"{cell.series}: {cell.detail or 'see the report'}"
    if cell.parity == "lost":
        return Case(cell.series, "parity", "failure", "parity lost", text)
    if cell.parity == "not_run":
        return Case(cell.series, "parity", "error", "parity not run", text)
    return Case(cell.series, "parity")


def micro_cases(micro: Micro, comparison: MicroComparison | None) -> Iterator[Case]:
    """Of micro-benchmarks: each framework was proved and measured, and each limit held."""
    for proof in micro.manifest.proofs:
        verdict = parity_verdict(proof)
        if verdict.passed:
            yield Case(proof.cell, "parity")
        else:
            text = f"{proof.cell}: {verdict.failures[0]}"
            yield Case(proof.cell, "parity", "failure", "parity lost", text)
    for failure in micro.manifest.failures:
        text = f"{failure.what}: {failure.phase}: {failure.reason}"
        yield Case(failure.what, "measured", "error", "not measured", text)
    if comparison is None:
        return
    breaches = {breach.benchmark: breach for breach in comparison.breaches}
    for benchmark in comparison.times:
        if breach := breaches.get(benchmark):
            grew = breach.now_seconds / breach.before_seconds if breach.before_seconds else None
            seen = "" if grew is None else f", {times(grew)} of before"
            text = f"{benchmark}: {breach.field} is beyond {breach.limit}{seen}"
            yield Case(benchmark, "limits", "failure", "limit broken", text)
        else:
            yield Case(benchmark, "limits")


def seeds_cases(results: tuple[CellOverSeeds, ...], failed: Mapping[str, str]) -> Iterator[Case]:
    """Of proofs over seeds; ``failed``: cell → why its worker failed."""
    for result in results:
        asked = f"parity, {result.precision}"
        if result.failed:
            first = result.failed[0]
            text = (
                f"{result.cell}: proved from {result.proved} of {count(result.seeds, 'seed')}; "
                f"seed {first.seed}: {first.failures[0]}"
            )
            yield Case(result.cell, asked, "failure", "parity lost", text)
        else:
            yield Case(result.cell, asked)
    for cell, reason in failed.items():
        yield Case(cell, "measured", "error", "not measured", f"{cell}: {reason}")
