"""``levelfield tax``: our adapters against loops that an expert wrote by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import paths
from harness.analysis.observations import Observations
from harness.analysis.studies import exit_code
from harness.analysis.tax import LARGE_BATCH, Tax, taxes
from harness.commands import suites
from harness.commands.catalogue import Catalogue, read_catalogue
from harness.commands.ci import publish
from harness.commands.plan import command_line
from harness.commands.pythons import with_pythons
from harness.commands.results import write_pages
from harness.commands.run import resume_run, start_run
from harness.console import Console
from harness.errors import UsageError
from harness.execution.planning import Choice, LeftOut, chosen_implementations
from harness.report.cases import tax_cases
from harness.report.files import report_page
from harness.report.sections.tax import COLUMNS, tax_rows
from harness.spec.cells import HANDWRITTEN
from harness.spec.implementations import Implementation
from harness.spec.selection import Selection
from harness.store.runs import read_run

RECIPE = "lenet-sgd"
"""What the scripts train."""
BATCH_SIZES = (LARGE_BATCH, 32)
ROUNDS = 24
"""Of a block: what is looked for is about 1 %, and starting its processes takes most of a block."""


class TaxAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``tax --json`` says."""

    run: str
    folder: str
    report: str
    """Path of the HTML report."""
    exit_code: int
    taxes: tuple[Tax, ...]


def start_tax(
    console: Console,
    selection: Selection,
    runs: Path,
    batch_sizes: Sequence[int],
    rounds: int = ROUNDS,
) -> Path:
    """A run of adapters and scripts has come to its end; its folder.

    Raises:
        LevelfieldError: it could not begin, for instance as no framework has a script.
    """
    catalogue = read_catalogue(selection.impl_dirs)
    catalogue = with_scripts(with_pythons(catalogue, selection.pythons))
    recipe = catalogue.recipes[RECIPE]
    recipes = {
        one.label: one for size in batch_sizes for one in [recipe.overridden(batch_size=size)]
    }
    suite = suites.tax(catalogue, recipes, rounds)
    pairs: list[Choice] = []
    left_out = []
    for choice in chosen_implementations(suite, selection, catalogue.implementations):
        name = choice.implementation.name
        script = catalogue.implementations.get(f"{name}~{HANDWRITTEN}")
        if script is None:
            left_out.append(LeftOut(name, "no loop of it has been written by hand"))
        else:
            pairs += [Choice(script, choice.version), choice]
    if not pairs:
        names = ", ".join(one.what for one in left_out)
        raise UsageError(
            f"No loop written by hand for {names}, expected one in benchmarks/handwritten, or "
            "handwritten.py in an implementation's folder: write one, or choose others with -f"
        )
    return start_run(
        console,
        catalogue._replace(recipes={**catalogue.recipes, **recipes}),
        suite,
        selection,
        runs,
        command_line(),
        study="tax",
        pairs=pairs,
        left_out=left_out,
    )


def resume_tax(console: Console, folder: Path, catalogue: Catalogue, data_dir: str | None) -> Path:
    """The run in ``folder`` has come to its end.

    Raises:
        LevelfieldError: it can't go on, for instance as it is none of adapters and scripts.
    """
    return resume_run(console, with_scripts(catalogue), folder, data_dir, "tax")


def with_scripts(catalogue: Catalogue) -> Catalogue:
    """``catalogue``, and under ``NAME~handwritten`` each implementation as its script computes it.

    A script is ``handwritten.py`` in the implementation's folder, or ``NAME_by_hand.py`` in
    ``benchmarks/handwritten``. It is written for the implementation's default mode.
    """
    scripts = [
        msgspec.structs.replace(one, variant=HANDWRITTEN, script=str(script))
        for one in catalogue.implementations.values()
        if (script := script_of(one)) is not None
    ]
    beside = {one.key: one for one in scripts}
    return catalogue._replace(implementations={**catalogue.implementations, **beside})


def script_of(implementation: Implementation) -> Path | None:
    """The loop that was written by hand for the implementation's framework, if there is one."""
    candidates = (
        Path(implementation.folder) / "handwritten.py",
        paths.BENCHMARKS / "handwritten" / f"{implementation.name}_by_hand.py",
    )
    return next((path for path in candidates if path.is_file()), None)


def show_tax(console: Console, folder: Path, reports: Path, junit_file: Path | None) -> int:
    """The ratios stand in the terminal; the exit code. Then the run's report is written."""
    run = Observations(read_run(folder))
    found = taxes(run)
    titles = run.manifest.titles
    console.table(
        "Rate of our adapter ÷ rate of the loop written by hand",
        [column.title.lower() for column in COLUMNS],
        tax_rows(found, titles),
    )
    for each in found:
        if each.first_windows_differ:
            console.warn(_first_windows(each, titles.get(each.framework, each.framework)))
    code = exit_code(run)
    console.answer(
        TaxAnswer(
            run=run.manifest.run,
            folder=str(folder),
            report=str(report_page(reports, run.manifest.run)),
            exit_code=code,
            taxes=found,
        )
    )
    publish(console, "tax", tax_cases(run), junit_file)
    with console.extra("The report"):
        write_pages(console, run, reports)
    return code


def _first_windows(tax: Tax, title: str) -> str:
    """What is wrong with them, in one line."""
    seen = tax.first_window_deviation
    off = "are no finite numbers" if seen is None else f"differ by {seen:.1e}"
    return (
        f"{title}, batch {tax.batch_size}: losses of first timed windows {off} between adapter and "
        f"script, expected at most {tax.first_window_tolerance:.0e}: they don't train the same "
        "thing; mend the one that is wrong"
    )
