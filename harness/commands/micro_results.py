"""What stands at the end of ``levelfield micro``: tables, a report, and what broke its limit."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.analysis.micro import Measure, Roofs, StepTime, measures, roofs_of, step_times
from harness.analysis.micro_check import MicroComparison, compared, earlier_ones
from harness.analysis.observations import Observations
from harness.analysis.parity import parity_verdict
from harness.commands.ci import publish
from harness.commands.micro_proofs import check_comparable
from harness.commands.results import write_pages
from harness.console import Console
from harness.errors import RecordError, UsageError
from harness.report.cases import micro_cases
from harness.report.files import report_page
from harness.report.micro_words import breach_rows, comparison_rows, micro_rows
from harness.spec.micro import Micro, MicroFailure, MicroFramework, Start
from harness.spec.micro_limits import MicroLimits
from harness.store.micro import has_micro, micro_path, read_micro, read_micro_manifest
from harness.store.runs import read_run, run_folders


class MicroAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``micro --json`` says."""

    run: str
    folder: str
    report: str
    """Path of the HTML report."""
    files: tuple[str, ...]
    """pytest-benchmark's files, one a framework."""
    exit_code: int
    frameworks: tuple[MicroFramework, ...]
    starts: tuple[Start, ...]
    """What each took before its first step was done."""
    roofs: Roofs
    measures: tuple[Measure, ...]
    step_times: tuple[StepTime, ...]
    comparison: MicroComparison | None
    """With an earlier run, where that was asked for."""
    failures: tuple[MicroFailure, ...]


def read_base(folder: Path) -> Micro:
    """The micro-benchmarks of the run in ``folder``, to compare with.

    Raises:
        LevelfieldError: it has none, or they can't be read.
    """
    base = read_micro(folder)
    if base is None or not base.files:
        raise UsageError(
            f"{folder} has no micro-benchmarks, expected those of 'levelfield micro': name another "
            "run with --compare, or leave it out for the newest earlier one"
        )
    return base


def show_micro(
    console: Console,
    folder: Path,
    reports: Path,
    limits: MicroLimits,
    base: Micro | None = None,
    junit_file: Path | None = None,
) -> int:
    """Tables stand in the terminal; the exit code. Then the run's report is written.

    It is 3 where parity failed, 2 where something could not be measured, 1 where a limit was
    broken. ``base``: what is compared with; by default, where there are limits, the newest earlier
    run of this machine with micro-benchmarks, in the same folder of runs.

    Raises:
        UsageError: there are limits, and nothing that they could be held against.
    """
    run, micro = Observations(read_run(folder)), read_micro(folder)
    if micro is None:
        raise UsageError(
            f"{folder} has no micro-benchmarks, expected some: measure with 'levelfield micro'"
        )
    try:
        code, comparison = _show(console, folder, run, micro, reports, limits, base)
        publish(console, "micro", micro_cases(micro, comparison), junit_file)
        return code
    finally:
        with console.extra("The report"):
            write_pages(console, run, reports, micro)


def _show(
    console: Console,
    folder: Path,
    run: Observations,
    micro: Micro,
    reports: Path,
    limits: MicroLimits,
    base: Micro | None,
) -> tuple[int, MicroComparison | None]:
    """The exit code, and what was compared."""
    for title, header, rows in micro_rows(micro):
        console.table(title, header, rows)
    for failure in micro.manifest.failures:
        console.result(f"{failure.what}: {failure.phase}: {failure.reason}")
    comparison = None
    if base is not None:
        check_comparable(base, micro.manifest)
    elif limits.usual:
        base = _earlier(micro, folder.parent)
    if base is not None:
        comparison = compared(base, micro, limits)
        _show_comparison(console, comparison, limits)
    code = _exit_code(micro, comparison)
    console.answer(
        MicroAnswer(
            run=run.manifest.run,
            folder=str(folder),
            report=str(report_page(reports, run.manifest.run)),
            files=tuple(str(micro_path(folder, name)) for name in micro.files),
            exit_code=code,
            frameworks=micro.manifest.frameworks,
            starts=tuple(one.start for one in micro.files.values() if one.start is not None),
            roofs=roofs_of(micro.benchmarks),
            measures=measures(micro),
            step_times=step_times(measures(micro)),
            comparison=comparison,
            failures=micro.manifest.failures,
        )
    )
    return code, comparison


def _exit_code(micro: Micro, comparison: MicroComparison | None) -> int:
    if not all(parity_verdict(each).passed for each in micro.manifest.proofs):
        return 3
    if micro.manifest.failures:
        return 2
    return 1 if comparison is not None and comparison.breaches else 0


def _earlier(micro: Micro, runs: Path) -> Micro:
    """The newest earlier micro-benchmarks that ``micro`` may be compared with.

    Raises:
        UsageError: there are none.
    """
    folders = {}
    for folder in run_folders(runs):
        try:
            if has_micro(folder):
                folders[folder] = read_micro_manifest(folder)
        except RecordError:
            continue
    places = {manifest.run: folder for folder, manifest in folders.items()}
    for each in earlier_ones(micro.manifest, folders.values()):
        try:
            found = read_micro(places[each.run])
        except RecordError:
            continue
        if found is not None and found.files.keys() & micro.files.keys():
            return found
    raise UsageError(
        f"Nothing to compare {micro.manifest.run} with: no earlier micro-benchmarks in {runs} were "
        "made on this machine under the same conditions, expected one run of them: measure once "
        "more, or name one with --compare"
    )


def _show_comparison(console: Console, comparison: MicroComparison, limits: MicroLimits) -> None:
    """What became slower, and by how much.

    Raises:
        UsageError: the two have no benchmark in common.
    """
    if not comparison.compared:
        raise UsageError(
            f"{comparison.base} has none of these benchmarks, expected some in common: compare "
            "with another run"
        )
    console.table(
        f"Against {comparison.base} (not interleaved: what changed on the machine in between is in "
        "every difference)",
        ("framework", "benchmarks", "median: smallest ratio", "middle", "largest"),
        comparison_rows(comparison),
    )
    for version in comparison.versions:
        console.result(f"Another version: {version}")
    for what, names in (("not measured now", comparison.missing), ("new", comparison.fresh)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            console.result(f"{len(names)} {what}: {', '.join(names[:3])}{more}")
    if not limits.usual:
        return
    if comparison.breaches:
        console.table(
            "Beyond their limits",
            ("benchmark", "statistic", "before", "now", "grew by", "limit"),
            breach_rows(comparison),
        )
    held = comparison.compared - len({each.benchmark for each in comparison.breaches})
    console.result(
        f"{held} of {comparison.compared} benchmarks held their limits (not interleaved)."
    )
