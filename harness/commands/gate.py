"""``levelfield gate``: base and head in one job, interleaved; fails only for a real regression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import paths
from harness.analysis.gate import GateJudgement, gate
from harness.analysis.observations import Observations
from harness.analysis.protocol import LEAST_BLOCKS
from harness.commands.catalogue import Catalogue, read_catalogue
from harness.commands.ci import publish
from harness.commands.plan import command_line
from harness.commands.results import write_pages
from harness.commands.revisions import (
    commit_of,
    merge_base,
    repository_of,
    revision_tree,
    settings_folder,
)
from harness.commands.run import check_study, resume_run, start_run
from harness.console import Console
from harness.errors import UsageError
from harness.execution.planning import Choice, LeftOut, chosen_implementations, named
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
from harness.spec.cells import OF_BASE
from harness.spec.gates import GateSettings, GateTerms, read_gate_settings
from harness.spec.implementations import Implementation, read_implementation
from harness.spec.selection import FrameworkChoice, Selection
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


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate puts side by side."""

    catalogue: Catalogue
    pairs: tuple[Choice, ...]
    """Base, head, base, head."""
    left_out: tuple[LeftOut, ...]
    terms: GateTerms


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
    catalogue = read_catalogue(selection.impl_dirs)
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


def resume_gate(console: Console, folder: Path, data_dir: str | None) -> Path:
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
    if terms.commit:
        commit = commit_of(repository, terms.commit)
        of_base, _ = _base_implementations(repository, commit, terms.impl_dirs)
        catalogue = _with_base(catalogue, of_base)
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


def revisions(
    catalogue: Catalogue,
    selection: Selection,
    base: str,
    settings: GateSettings,
    *,
    exact: bool = False,
) -> Comparison:
    """What the work tree holds, against what it held when HEAD and ``base`` parted.

    ``exact``: against what ``base`` holds, which charges the branch with what others did there.

    Raises:
        UsageError: there is no such revision, or nothing that both have.
    """
    repository = repository_of(Path.cwd())
    tip = commit_of(repository, base, "--base-exact" if exact else "--base")
    commit = tip if exact else merge_base(repository, base)
    impl_dirs = tuple(_below(repository, folder) for folder in selection.impl_dirs)
    if not impl_dirs and repository != paths.ROOT:
        raise UsageError(
            f"{repository} holds no levelfield, expected the one that runs ({paths.ROOT}): name "
            "your own implementations with --impl-dir"
        )
    of_base, left_out = _base_implementations(repository, commit, impl_dirs)
    unreadable = {each.what for each in left_out}
    parents = {str((repository / each).resolve()) for each in impl_dirs or ("impls",)}
    of_head = {
        name: one
        for name, one in catalogue.implementations.items()
        if str(Path(one.folder).parent) in parents and one.role == "framework"
    }
    asked = chosen_implementations(catalogue.suites["gate"], selection, catalogue.implementations)
    choices = [choice for choice in asked if choice.implementation.name in of_head]
    twice = [
        name for name, n in Counter(one.implementation.name for one in choices).items() if n > 1
    ]
    if twice:
        raise UsageError(
            f"-f names {' and '.join(twice)} twice, expected one version of a framework, for base "
            "and head alike: leave one out, or compare two with --base-framework"
        )
    pairs: list[Choice] = []
    for choice in choices:
        name = choice.implementation.name
        if name in of_base:
            pairs += [Choice(of_base[name], choice.version), choice]
        elif name not in unreadable:
            left_out.append(LeftOut(name, f"the base, {commit[:12]}, does not have it"))
    left_out += [
        LeftOut(name, "the work tree does not have it any more")
        for name, one in of_base.items()
        if name not in of_head and one.role == "framework"
    ]
    named_ones = {each.name for each in selection.frameworks}
    left_out = [each for each in left_out if each.what in named_ones or not named_ones]
    if not pairs:
        reasons = "; ".join(f"{each.what}: {each.reason}" for each in left_out)
        raise UsageError(
            f"Nothing to compare: the work tree has {_listed(of_head)}, {commit[:12]} of {base} "
            f"has {_listed(of_base)} ({reasons or 'nothing else'}), expected one that both have: "
            "choose another base or -f"
        )
    return Comparison(
        catalogue=_with_base(catalogue, of_base),
        pairs=tuple(pairs),
        left_out=tuple(left_out),
        terms=settings.terms(base, commit, impl_dirs, tip=tip),
    )


def versions(
    catalogue: Catalogue, selection: Selection, base_framework: str, settings: GateSettings
) -> Comparison:
    """A framework against itself in another version.

    Raises:
        UsageError: they are not two versions of one framework.
    """
    base = FrameworkChoice.parse(base_framework)
    heads = selection.frameworks or (FrameworkChoice(base.name),)
    if base.version is None or [each.name for each in heads] != [base.name]:
        given = " ".join(f"-f {each.name}" for each in heads)
        raise UsageError(
            f"--base-framework is {base_framework!r} with {given}, expected a version of the one "
            f"framework that -f names: write --base-framework {base.name}@1.2.3 -f {base.name}"
        )
    if heads[0].version == base.version:
        raise UsageError(
            f"--base-framework and -f are both {base_framework}, expected two versions: change one"
        )
    frameworks = {n: one for n, one in catalogue.implementations.items() if one.role == "framework"}
    implementation = named("framework", base.name, frameworks)
    return Comparison(
        catalogue=catalogue,
        pairs=(Choice(implementation, base.version), Choice(implementation, heads[0].version)),
        left_out=(),
        terms=settings.terms(base_framework, None, selection.impl_dirs),
    )


def _base_implementations(
    repository: Path, commit: str, impl_dirs: Sequence[str]
) -> tuple[dict[str, Implementation], list[LeftOut]]:
    """Those of ``commit``, by name, and what can't be read there.

    Our own bring the worker of their time with them.
    """
    tree = revision_tree(repository, commit)
    found, unreadable = {}, []
    for each in impl_dirs or ("impls",):
        for path in sorted((tree / each).glob("*/impl.toml")):
            try:
                one = read_implementation(path.parent)
            except UsageError as error:
                # Nobody can mend a commit: the others are compared.
                why = str(error).replace(f"{tree}/", f"{commit[:12]}:")
                unreadable.append(LeftOut(path.parent.name, f"the base's can't be read: {why}"))
            else:
                found[one.name] = msgspec.structs.replace(
                    one, variant=f"{OF_BASE}{commit[:12]}", tree="" if impl_dirs else str(tree)
                )
    return found, unreadable


def _with_base(catalogue: Catalogue, of_base: dict[str, Implementation]) -> Catalogue:
    beside = {one.key: one for one in of_base.values()}
    return catalogue._replace(implementations={**catalogue.implementations, **beside})


def _below(repository: Path, folder: str) -> str:
    try:
        return str(Path(folder).resolve().relative_to(repository.resolve()))
    except ValueError:
        raise UsageError(
            f"--impl-dir {folder} is outside the repository {repository}, expected a folder of "
            "it: go to the repository that holds it"
        ) from None


def _listed(implementations: dict[str, Implementation]) -> str:
    names = [name for name, one in implementations.items() if one.role == "framework"]
    return ", ".join(names) or "none"
