"""What stands at the end of a command: verdicts in the terminal, reports on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness.analysis.convergence import Convergence, convergences
from harness.analysis.inputs import InputCost, input_costs
from harness.analysis.judgement import Judgement
from harness.analysis.observations import Observations
from harness.analysis.parity import CrossDeviation, ParityResult, cross_deviations, parity_results
from harness.analysis.reproduction import Reproduction, reproductions
from harness.analysis.studies import exit_code as exit_code_of
from harness.analysis.sweeps import Sweep, sweeps
from harness.analysis.targets import TargetTime, target_times
from harness.analysis.verdicts import judge
from harness.commands.ci import publish
from harness.console import Console
from harness.report.cases import run_cases
from harness.report.cast import cast_of
from harness.report.files import (
    comparison_name,
    point_latest,
    report_page,
    write_comparison,
    write_report,
)
from harness.report.formats import count
from harness.report.sentences import verdict_groups
from harness.report.sweep_sentences import order_in_words
from harness.spec.cells import Cell
from harness.spec.events import Failure, RunFinished, Skip
from harness.spec.micro import Micro
from harness.spec.recipes import Recipe
from harness.store.micro import read_micro
from harness.store.runs import read_run


class RunAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``run --json`` and ``report --json`` say of one run."""

    run: str
    folder: str
    report: str
    """Path of the HTML report."""
    exit_code: int
    judgement: Judgement
    failures: tuple[Failure, ...]
    skips: tuple[Skip, ...]
    reproductions: tuple[Reproduction, ...]
    """Long trials beside the figures that were published."""
    convergences: tuple[Convergence, ...]
    """Final accuracies of pairs of frameworks, over seeds."""
    target_times: tuple[TargetTime, ...]
    """How soon each long trial reached its recipe's target accuracy."""
    input_costs: tuple[InputCost, ...]
    """What the frameworks' own data loaders cost, where both inputs were measured."""
    sweeps: tuple[Sweep, ...]
    """Contenders over batch sizes and numbers of threads, where a run has several."""


class ComparisonAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``report --json`` says of several runs."""

    runs: tuple[RunAnswer, ...]
    comparison: str
    """Path of the page that puts them side by side."""


class VerificationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify --json`` says."""

    run: str
    folder: str
    exit_code: int
    parity: tuple[ParityResult, ...]
    between_frameworks: tuple[CrossDeviation, ...]
    failures: tuple[Failure, ...]


def show_measured(
    console: Console, study: str, folder: Path, reports: Path, junit_file: Path | None
) -> int:
    """The verdicts of a run that has just ended stand in the terminal; its exit code.

    Then its report is written, if that can be.
    """
    run = Observations(read_run(folder))
    code = exit_code_of(run)
    console.answer(_shown(console, folder, run, reports, code))
    publish(console, study, run_cases(run), junit_file)
    with console.extra("The report"):
        write_pages(console, run, reports, read_micro(folder))
    return code


def show_stored(console: Console, folders: Sequence[Path], reports: Path) -> None:
    """The verdicts of each run stand in the terminal, and its report is written."""
    runs = [Observations(read_run(folder)) for folder in folders]
    answers = [
        _shown(console, folder, run, reports, stored_exit_code(run))
        for folder, run in zip(folders, runs, strict=True)
    ]
    comparison = reports / comparison_name(runs) / "index.html"
    many = len(runs) > 1
    console.answer(
        ComparisonAnswer(runs=tuple(answers), comparison=str(comparison)) if many else answers[0]
    )
    for folder, run in zip(folders, runs, strict=True):
        write_pages(console, run, reports, read_micro(folder))
    if many:
        console.result(f"Side by side: {write_comparison(runs, reports)}")


def write_pages(
    console: Console, run: Observations, reports: Path, micro: Micro | None = None
) -> None:
    """The report of ``run`` is written, and the user knows where it is."""
    page = write_report(run, reports, micro)
    point_latest(reports, run.manifest.run)
    console.result(f"Report: {page}")


def _shown(
    console: Console, folder: Path, run: Observations, reports: Path, code: int
) -> RunAnswer:
    """The verdicts stand in the terminal; and as an answer."""
    judgement = judge(run)
    show_verdicts(console, run, judgement)
    return RunAnswer(
        run=run.manifest.run,
        folder=str(folder),
        report=str(report_page(reports, run.manifest.run)),
        exit_code=code,
        judgement=judgement,
        failures=run.all(Failure),
        skips=run.all(Skip),
        reproductions=reproductions(run),
        convergences=convergences(run),
        target_times=target_times(run),
        input_costs=input_costs(run),
        sweeps=sweeps(run),
    )


def stored_exit_code(run: Observations) -> int:
    """What the run's command ended with, which is decided once; of a run without an end, what it
    would end with."""
    ends = run.all(RunFinished)
    return ends[-1].exit_code if ends else exit_code_of(run)


def show_verdicts(console: Console, run: Observations, judgement: Judgement) -> None:
    """The verdict table, in the words of the report."""
    for group in verdict_groups(run, judgement):
        rows = [(line.word, line.sentence, line.evidence) for line in group.lines]
        console.table(group.title, ("verdict", "in words", "evidence"), rows)
        for text in (group.order, *group.notes):
            console.result(text)
        for badge in group.badges:
            console.result(f"{badge.label}: {badge.text}")
    _show_sweeps(console, run)


def _show_sweeps(console: Console, run: Observations) -> None:
    """Where the order of contenders changes, in the words of the report."""
    cast = cast_of(run.manifest)
    for sweep in sweeps(run):
        for text in order_in_words(sweep, cast):
            console.result(f"{sweep.recipe}: {text}")


def show_verification(console: Console, folder: Path, junit_file: Path | None) -> int:
    """The parity table: for each cell its largest deviations from the oracle."""
    run = Observations(read_run(folder))
    results = run.held
    header, rows = verification_table(run)
    datasets = ", ".join(dict.fromkeys(cell.recipe.dataset for cell in run.manifest.cells))
    title = f"Deviation from the float64 reference at step 1, and after it ({datasets})"
    console.table(title, header, rows)
    for result in results:
        for failure in result.failures:
            console.result(f"{result.cell}: {failure}")
    failures = run.all(Failure)
    for failed in failures:
        console.result(f"{failed.cell}: {failed.phase}: {failed.reason}")
    unproved = {result.cell for result in results if not result.passed}
    proved = {result.cell for result in results} - unproved
    console.result(
        f"Proved: {len(proved)} of {len(run.manifest.cells)} cells. Recorded in {folder}"
    )
    console.answer(
        VerificationAnswer(
            run=run.manifest.run,
            folder=str(folder),
            exit_code=exit_code_of(run),
            parity=results,
            between_frameworks=cross_deviations(run.manifest.plan.groups, run.events),
            failures=failures,
        )
    )
    publish(console, "verify", run_cases(run), junit_file)
    return exit_code_of(run)


def verification_table(run: Observations) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a row for each recipe and framework, a column for each mode."""
    # The one that is worst off stands for a cell that was held several times.
    results = {
        result.cell: result
        for result in sorted(parity_results(run.events), key=lambda one: one.passed, reverse=True)
    }
    unproved = {result.cell for result in run.held if not result.passed}
    failed = {failure.cell for failure in run.all(Failure)}
    modes = list(dict.fromkeys(cell.mode for cell in run.manifest.cells))
    name_of, threads_of = _what_differs(run.manifest.cells)
    cells: dict[tuple[Recipe, str], dict[str, str]] = {}
    for cell in run.manifest.cells:
        framework = f"{cell.framework} {cell.version}{threads_of(cell)}"
        line = cells.setdefault((cell.recipe, framework), {})
        if cell.id in results:
            line[cell.mode] = _deviations(results[cell.id], proved=cell.id not in unproved)
        elif cell.id in failed:
            line[cell.mode] = "not verified"
    rows = []
    above = None
    for (recipe, framework), line in cells.items():
        # What a recipe's rows have in common stands once, so that they are seen as a block.
        common = "" if recipe == above else name_of(recipe)
        rows.append([common, framework, *(line.get(mode, "") for mode in modes)])
        above = recipe
    return ["recipe", "framework", *modes], rows


def _what_differs(
    cells: Sequence[Cell],
) -> tuple[Callable[[Recipe], str], Callable[[Cell], str]]:
    """How recipes are named so that two batches of one differ; and what tells threads apart."""
    batches = {(cell.recipe.name, cell.recipe.batch_size) for cell in cells}
    names = Counter(name for name, _ in batches)
    several = len({cell.threads for cell in cells}) > 1

    def name(recipe: Recipe) -> str:
        batch = f", batch {recipe.batch_size}" if names[recipe.name] > 1 else ""
        return f"{recipe.name}{batch}"

    return name, lambda cell: f", {count(cell.threads, 'thread')}" if several else ""


def _deviations(result: ParityResult, *, proved: bool) -> str:
    """``1.2e-07 3.4e-06``, with a word behind where parity failed."""
    worst = (result.worst_at_step_1, result.worst_at_steps_2_to_10)
    shown = ["none" if one is None or one.value is None else f"{one.value:.1e}" for one in worst]
    return " ".join([*shown, *([] if proved else ["FAILED"])])
