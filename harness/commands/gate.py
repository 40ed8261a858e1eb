"""``levelfield gate``: base and head in one job, interleaved; fails only for a real regression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.analysis.gate import GateJudgement, gate
from harness.analysis.observations import Observations
from harness.analysis.protocol import LEAST_BLOCKS
from harness.commands.catalogue import read_catalogue
from harness.commands.ci import publish
from harness.commands.gate_sides import base_implementations, revisions, versions, with_base
from harness.commands.plan import command_line
from harness.commands.pythons import with_pythons
from harness.commands.results import write_pages
from harness.commands.revisions import (
    commit_of,
    repository_of,
    settings_folder,
)
from harness.commands.run import check_study, resume_run, start_run
from harness.console import Console
from harness.errors import UsageError
from harness.report.cases import gate_cases
from harness.report.files import report_page
from harness.report.gate import (
    base_in_words,
    conclusion,
    gate_header,
    gate_rows,
    markdown,
    sentences,
)
from harness.spec.gates import read_gate_settings
from harness.spec.selection import GivenPython, Selection
from harness.store.runs import read_manifest, read_run


class GateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``gate --json`` says."""

    run: str
    folder: str
    report: str
    """Path of the HTML report."""
    markdown: str
    """Path of the table for a pull request."""
    exit_code: int
    judgement: GateJudgement


def start_gate(
    console: Console,
    selection: Selection,
    runs: Path,
    *,
    base: str | None = None,
    base_exact: str | None = None,
    base_framework: str | None = None,
    strict: bool = False,
) -> Path:
    """A gate's run has come to its end; its folder.

    ``base``: a revision, whose merge base with HEAD is measured; ``base_exact``: one that is
    measured itself. ``strict``: what can't be compared fails the gate.

    Raises:
        LevelfieldError: it could not begin.
    """
    options = {
        "--base": base,
        "--base-exact": base_exact,
        "--base-framework": base_framework,
    }
    given = [name for name, value in options.items() if value is not None]
    if len(given) != 1:
        raise UsageError(
            f"{' and '.join(given) or 'No base'} given, expected one of {', '.join(options)}: name "
            "a git revision, or a framework's other version"
        )
    settings = read_gate_settings(settings_folder())
    if strict:
        settings = msgspec.structs.replace(settings, strict=True)
    for name, blocks in {"--blocks": selection.blocks, "blocks": settings.blocks}.items():
        if blocks is not None and blocks < LEAST_BLOCKS:
            where = "" if name == "--blocks" else " in [tool.levelfield.gate] of pyproject.toml"
            raise UsageError(
                f"{name} is {blocks}{where}, expected {LEAST_BLOCKS} or more: fewer can't tell a "
                "regression from noise"
            )
    catalogue = with_pythons(read_catalogue(selection.impl_dirs), selection.pythons)
    if base_framework is not None:
        found = versions(catalogue, selection, base_framework, settings)
    else:
        revision = base_exact if base is None else base
        assert revision is not None
        found = revisions(catalogue, selection, revision, settings, exact=base is None)
        console.say(f"Base: {base_in_words(found.terms)}")
    suite = catalogue.suites["gate"]
    if settings.seeds is not None:
        suite = msgspec.structs.replace(suite, seeds=settings.seeds)
    if selection.blocks is None and settings.blocks is not None:
        suite = msgspec.structs.replace(suite, blocks=settings.blocks)
    return start_run(
        console,
        found.catalogue,
        suite,
        selection,
        runs,
        command_line(),
        study="gate",
        pairs=found.pairs,
        gate=found.terms,
        left_out=found.left_out,
    )


def resume_gate(
    console: Console,
    folder: Path,
    data_dir: str | None,
    pythons: Sequence[GivenPython] = (),
) -> Path:
    """The gate's run in ``folder`` has come to its end.

    Raises:
        LevelfieldError: it can't go on, for instance in another repository.
    """
    manifest = read_manifest(folder)
    check_study(manifest, "gate")
    terms = manifest.gate
    assert terms is not None  # it is a gate
    repository = repository_of(Path.cwd()) if terms.commit else Path.cwd()
    catalogue = read_catalogue([str(repository / each) for each in terms.impl_dirs])
    catalogue = with_pythons(catalogue, pythons)
    if terms.commit:
        commit = commit_of(repository, terms.commit)
        of_base, _ = base_implementations(repository, commit, terms.impl_dirs)
        catalogue = with_base(catalogue, of_base)
    return resume_run(console, catalogue, folder, data_dir, "gate")


def show_gate(console: Console, folder: Path, reports: Path, junit_file: Path | None) -> int:
    """The gate's table stands in the terminal; its exit code. Then files are written."""
    run = Observations(read_run(folder))
    found = gate(run)
    page = report_page(reports, run.manifest.run)
    table = page.parent / "gate.md"
    text = markdown(found, run.manifest)
    if console.terminal:
        title = f"{conclusion(found)}:"
        console.table(title, gate_header(), gate_rows(found, run.manifest.titles))
        for line in sentences(found):
            console.result(line)
    else:
        console.result(text)
    console.answer(
        GateAnswer(
            run=run.manifest.run,
            folder=str(folder),
            report=str(page),
            markdown=str(table),
            exit_code=found.exit_code,
            judgement=found,
        )
    )
    publish(console, "gate", gate_cases(found), junit_file, summary=text)
    with console.extra("The table for a comment"):
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(text, encoding="utf-8")
    with console.extra("The report"):
        write_pages(console, run, reports)
    return found.exit_code
