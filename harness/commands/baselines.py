"""``levelfield baseline save`` and ``check``: a run against stored earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.analysis.baselines import (
    Difference,
    RunCell,
    differences,
    extended,
    nearest,
    run_cells,
)
from harness.analysis.check import LEAST_RUNS, CheckedCell, CheckJudgement, check
from harness.analysis.observations import Observations
from harness.analysis.outcomes import exit_code
from harness.analysis.slowdown import failed_noise_floors
from harness.analysis.verdicts import judge
from harness.commands.ci import publish
from harness.commands.revisions import settings_folder
from harness.console import Console
from harness.errors import UsageError
from harness.report.cases import check_cases
from harness.report.check import check_header, check_page, check_rows, conclusion, warnings
from harness.report.files import check_name, write_page
from harness.spec.baselines import Baseline, BaselineCell
from harness.spec.events import RunFinished
from harness.spec.gates import read_gate_settings
from harness.spec.manifest import Manifest
from harness.store.baselines import read_baseline, write_baseline
from harness.store.runs import read_run

SHOWN_DIFFERENCES = 3


class SavedCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that a baseline has one more run of."""

    series: str
    runs: int
    """Now."""


class SavedBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """What ``baseline save --json`` says."""

    run: str
    baseline: str
    """Path of the file."""
    cells: tuple[SavedCell, ...]
    runs_to_check: int
    """How many more are missing until ``check`` can judge each of these cells."""


class CheckAnswer(CheckJudgement, frozen=True, kw_only=True):
    """What ``check --json`` says."""

    report: str
    """Path of the HTML page."""


def usual_baseline(baselines: Path, manifest: Manifest) -> Path:
    """Where runs of this suite on this machine are saved: ``cpu-b14d698a59a4.json``."""
    return baselines / f"{manifest.plan.suite}-{manifest.machine.fingerprint}.json"


def save_run(console: Console, folder: Path, file: Path | None, baselines: Path) -> None:
    """The baseline has one more run: that in ``folder``.

    Raises:
        UsageError: the run is in it already, was made under other conditions, or is no measure.
    """
    run = _whole_run(folder)
    name = run.manifest.run
    path = file or usual_baseline(baselines, run.manifest)
    baseline = read_baseline(path) if path.exists() else Baseline()
    cells = run_cells(run)
    lost = next((each for each in cells if each.parity == "lost"), None)
    if lost:
        raise UsageError(
            f"{name} is no baseline: {lost.cell.id} failed parity, expected cells that compute "
            "what they should: mend that one, or leave it out of a new run"
        )
    entries = _entries(run, cells)
    _check_conditions(run, entries, path, baseline)
    saved = {value.run for cell in baseline.cells for value in cell.values}
    if name in saved:
        raise UsageError(
            f"{path} has {name} already, expected a run that is new to it: save another one"
        )
    grown = extended(baseline, entries)
    write_baseline(path, grown)
    counts = {cell.series: len(cell.values) for cell in grown.cells}
    answer = SavedBaseline(
        run=name,
        baseline=str(path),
        cells=tuple(SavedCell(series=entry.series, runs=counts[entry.series]) for entry in entries),
        runs_to_check=max(0, LEAST_RUNS - min(counts[entry.series] for entry in entries)),
    )
    for each in cells:
        if not each.kept:
            console.warn(f"{each.cell.id} is not saved: {each.lack}")
    console.table(
        f"{path}", ("cell", "runs"), [(each.series, str(each.runs)) for each in answer.cells]
    )
    console.result(
        f"{answer.runs_to_check} more to save before 'levelfield check' can judge all of these"
        if answer.runs_to_check
        else f"Enough for 'levelfield check RUN --baseline {path}'"
    )
    console.answer(answer)


def check_run(
    console: Console,
    folder: Path,
    file: Path | None,
    out: Path,
    *,
    strict: bool,
    junit_file: Path | None,
) -> int:
    """What the run in ``folder`` is worth against the baseline; the exit code.

    Args:
        console: where the answer stands.
        folder: the stored run's.
        file: the baseline; without it, that of the suite and machine.
        out: holds ``results/`` and ``reports/``.
        strict: a regression ends with 1.
        junit_file: gets JUnit XML, where one is named.

    Raises:
        UsageError: there is nothing to compare it with.
    """
    run = _whole_run(folder)
    path = file or usual_baseline(out / "results" / "baselines", run.manifest)
    baseline = read_baseline(path)
    cells = run_cells(run)
    known = {cell.series: cell for cell in baseline.cells}
    lost = any(each.parity == "lost" for each in cells)
    if not lost:
        _check_conditions(run, _entries(run, cells), path, baseline)
    terms = read_gate_settings(settings_folder()).terms(str(path), None, ())
    floors = failed_noise_floors(judge(run))
    # Lost parity is the answer, whatever else could be compared.
    found = check(cells, {} if lost else known, terms, floors=floors)
    if not lost:
        _check_runs(run, found, path)
    judgement = CheckJudgement(
        run=run.manifest.run,
        baseline=str(path),
        strict=strict,
        cells=found,
        exit_code=exit_code(found, strict=strict),
    )
    title = f"{run.manifest.run} against {path} (not interleaved)"
    console.table(title, check_header(), check_rows(judgement))
    for line in warnings(judgement):
        console.warn(line)
    console.result(conclusion(judgement))
    page = out / "reports" / check_name(run.manifest.run) / "index.html"
    console.answer(CheckAnswer(**msgspec.structs.asdict(judgement), report=str(page)))
    publish(console, "check", check_cases(judgement), junit_file)
    with console.extra("The report"):
        write_page(check_page(judgement, run.manifest), out / "reports", page.parent.name)
        console.result(f"Report: {page}")
    return judgement.exit_code


def _whole_run(folder: Path) -> Observations:
    """The run in ``folder``.

    Raises:
        UsageError: it did not come to its end.
    """
    run = Observations(read_run(folder))
    if not run.all(RunFinished):
        raise UsageError(
            f"{run.manifest.run} did not come to its end, expected a whole run: go on with "
            f"'levelfield run --resume {run.manifest.run}'"
        )
    return run


def _entries(run: Observations, cells: Sequence[RunCell]) -> list[BaselineCell]:
    """What of the run can be kept or compared: at least one cell, and each in one version.

    Raises:
        UsageError: nothing can, or a cell is there twice.
    """
    entries = [each.kept for each in cells if each.kept]
    seen: dict[str, BaselineCell] = {}
    for entry in entries:
        other = seen.setdefault(entry.series, entry)
        if other is not entry:
            raise UsageError(
                f"{run.manifest.run} holds {entry.series} twice: "
                f"{_in_words(differences(entry.conditions, other.conditions))}: "
                "take a run that measures one version of it"
            )
    if not entries:
        lacks = "; ".join(f"{each.cell.id}: {each.lack}" for each in cells)
        raise UsageError(
            f"{run.manifest.run} timed no cell that can be compared ({lacks}): take a run that has "
            "some ('levelfield list runs' shows them)"
        )
    return entries


def _check_runs(run: Observations, found: Sequence[CheckedCell], path: Path) -> None:
    """Something can be judged.

    Raises:
        UsageError: there are too few earlier runs for all of it.
    """
    most = max((each.earlier_runs for each in found), default=0)
    if most < LEAST_RUNS:
        raise UsageError(
            f"{path} holds {most} runs earlier than {run.manifest.run} of its cells, expected "
            f"{LEAST_RUNS} or more: add {LEAST_RUNS - most} with 'levelfield baseline save RUN', "
            "or measure both sides in one job with 'levelfield gate'"
        )


def _check_conditions(
    run: Observations, entries: Sequence[BaselineCell], path: Path, baseline: Baseline
) -> None:
    """The run was made as those in the baseline, cell by cell.

    Raises:
        UsageError: it was not, and the line says in which field.
    """
    known = {cell.series: cell for cell in baseline.cells}
    common = [entry for entry in entries if entry.series in known]
    if known and not common:
        raise UsageError(
            f"{run.manifest.run} has no cell in common with {path}: "
            f"{_in_words(nearest(entries, baseline))}: name another file with --baseline"
        )
    for entry in common:
        found = differences(entry.conditions, known[entry.series].conditions)
        if found:
            raise UsageError(
                f"{entry.series} was measured under other conditions than in {path}: "
                f"{_in_words(found)}: name another file with --baseline, or measure again under "
                "the same conditions"
            )


def _in_words(found: Sequence[Difference]) -> str:
    """``kernel is 6.2, expected 6.1; …``: the first few, and how many more."""
    parts = [
        f"{each.field} is {_short(each.got)}, expected {_short(each.expected)}"
        for each in found[:SHOWN_DIFFERENCES]
    ]
    more = len(found) - SHOWN_DIFFERENCES
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _short(value: str) -> str:
    """Hashes by their beginning, as reports show them."""
    return value[:12] if len(value) == 64 and " " not in value else value
