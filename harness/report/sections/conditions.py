"""Conditions: machine, versions, variables, data; what failed; how to make such a run again."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from harness.report.formats import NOTHING, count, gibibytes, shortened
from harness.report.page import Block, Code, Column, Datum, Details, Paragraph, Section, Table
from harness.report.sections.story import Story
from harness.spec.cells import Cell
from harness.spec.events import (
    Failure,
    Hashes,
    Manifest,
    Parity,
    Plan,
    Skip,
    TrialFinished,
    TrialStarted,
)
from harness.spec.machine import Environment


def conditions_section(story: Story) -> Section:
    """On what, and with which versions and variables, it was measured."""
    manifest = story.run.manifest
    return Section(
        id="conditions",
        title="Machine and versions",
        blocks=(
            _machine_table(manifest),
            _framework_table(manifest),
            *_package_tables(manifest),
            _data_table(manifest),
            Details(summary="Environment variables of workers", blocks=(_variables(story),)),
        ),
    )


def failures_section(story: Story) -> Section:
    """Everything that could not be measured, or was left out, with its reason."""
    failures = [event for event in story.run.events if isinstance(event, Failure)]
    skips = [event for event in story.run.events if isinstance(event, Skip)]
    blocks: list[Block] = []
    if failures:
        blocks.append(_failure_table(story, failures))
        blocks += [
            Details(summary=f"{each.phase}: {each.reason}", blocks=(Code(text=each.detail),))
            for each in failures
            if each.detail.strip()
        ]
    if skips:
        rows = tuple((Datum(event.what), Datum(event.reason)) for event in skips)
        columns = (Column("What"), Column("Reason"))
        blocks.append(Table(caption="Skipped", columns=columns, rows=rows))
    if not blocks:
        blocks.append(Paragraph(text="Nothing failed and nothing was skipped.", tone="good"))
    return Section(id="failures", title="Failures and skips", blocks=tuple(blocks))


def again_section(story: Story) -> Section:
    """The command, what it was run with, and hashes of what was trained on."""
    manifest = story.run.manifest
    plan = manifest.plan
    facts = [
        ("Level Field", manifest.levelfield),
        ("Commit of the implementations", manifest.git_commit or "not in a git checkout"),
        ("Suite", plan.suite),
        *(_short_trials(plan) if story.is_timed else ()),
        ("Lead-in", count(plan.lead_in_steps, "step")),
        ("Seed", f"{plan.seed}"),
    ]
    if plan.long_trials and plan.seeds:
        facts.append(("Seeds of long trials", ", ".join(f"{seed}" for seed in plan.seeds)))
    return Section(
        id="reproduce",
        title="Do it again",
        lead="The command that makes such a run, and hashes of what the workers really used.",
        blocks=(
            Code(text=shlex.join(manifest.command)),
            _command_table(story),
            _facts_table("Plan", facts),
            Details(summary="Hashes", blocks=(_hash_table(story),)),
        ),
    )


def _command_table(story: Story) -> Table:
    """How each cell is measured again by itself."""
    return Table(
        caption="One cell at a time",
        columns=(Column("Contender"), Column("Command")),
        rows=tuple(
            (
                story.contender(cell.id),
                Datum(shlex.join(cell_command(cell, story.run.manifest)), code=True),
            )
            for cell in story.run.manifest.cells
        ),
        note="A contender by itself has nobody to be compared with: it shows rates and curves.",
    )


def cell_command(cell: Cell, manifest: Manifest) -> list[str]:
    """The command that measures ``cell`` again, as in the run of ``manifest``."""
    given = list(manifest.command)
    folders = [each for flag, each in pairwise(given) if flag == "--impl-dir"]
    changes = [each.partition("=") for each in cell.recipe.overrides]
    options = [
        ("-f", f"{cell.framework}@{cell.version}"),
        ("-r", cell.recipe.name),
        *((f"--{name}", value) for name, _, value in changes),
        ("--mode", cell.mode),
        ("--input", cell.input),
        *([("--loader-workers", f"{cell.loader_workers}")] if cell.loader_workers else []),
        ("--device", cell.device),
        ("--threads", f"{cell.threads}"),
        ("--settings", cell.settings),
        ("--seed", f"{manifest.plan.seed}"),
        *(("--impl-dir", folder) for folder in folders),
    ]
    return ["levelfield", "run", manifest.plan.suite, *(word for each in options for word in each)]


def _short_trials(plan: Plan) -> Iterator[tuple[str, str]]:
    """How short trials were looked at; groups with other windows than the plan's by name."""
    looks = " and ".join(f"{look}" for look in plan.looks)
    yield "Looks", f"after {looks} blocks"
    usual = (plan.rounds, plan.window_steps)
    yield "Block", _block_in_words(*usual)
    for group in plan.groups:
        rounds = plan.rounds if group.rounds is None else group.rounds
        steps = plan.window_steps if group.window_steps is None else group.window_steps
        if (rounds, steps) != usual:
            yield f"Block of {group.title or group.name}", _block_in_words(rounds, steps)


def _block_in_words(rounds: int, steps: int) -> str:
    return f"{count(rounds, 'round')} of {count(steps, 'timed step')}"


def _facts_table(caption: str, facts: list[tuple[str, str]]) -> Table:
    return Table(
        caption=caption,
        columns=(Column("What"), Column("Value")),
        rows=tuple((Datum(label, "quiet"), Datum(value)) for label, value in facts),
    )


def _machine_table(manifest: Manifest) -> Table:
    machine = manifest.machine
    facts = [
        ("CPU", machine.cpu),
        ("Cores", f"{machine.cores}"),
        ("Memory", gibibytes(machine.memory_bytes)),
        ("System", machine.system or NOTHING),
        ("Kernel", machine.kernel),
        ("Frequency governor", machine.governor or "not shown by the kernel"),
        ("GPU", machine.gpu or "none used"),
        *([("Driver", machine.driver)] if machine.driver else []),
        ("Fingerprint", machine.fingerprint),
    ]
    return _facts_table("Machine", facts)


def _framework_table(manifest: Manifest) -> Table:
    return Table(
        caption="Frameworks",
        columns=(Column("Framework"), Column("Version"), Column("Python"), Column("Environment")),
        rows=tuple(
            (
                Datum(manifest.titles.get(each.framework, each.framework)),
                Datum(each.version, strong=True),
                Datum(each.python),
                Datum(shortened(each.key), "quiet"),
            )
            for each in manifest.environments
        ),
    )


def _package_tables(manifest: Manifest) -> Iterator[Block]:
    """Packages whose versions differ between environments; then all, with those marked."""
    versions: defaultdict[str, set[str]] = defaultdict(set)
    for environment in manifest.environments:
        for package, version in environment.packages.items():
            versions[package].add(version)
    differing = sorted(package for package, seen in versions.items() if len(seen) > 1)
    if differing:
        yield _package_table("Packages whose versions differ", differing, manifest)
    marked = frozenset(differing)
    everything = _package_table("All packages", sorted(versions), manifest, marked)
    yield Details(summary="All packages", blocks=(everything,))


def _package_table(
    caption: str,
    packages: Sequence[str],
    manifest: Manifest,
    marked: frozenset[str] = frozenset(),
) -> Table:
    """One row a package, one column an environment."""
    return Table(
        caption=caption,
        columns=(
            Column("Package"),
            *(Column(_title(each, manifest)) for each in manifest.environments),
        ),
        rows=tuple(
            (
                Datum(package),
                *(
                    Datum(
                        each.packages.get(package, NOTHING),
                        "differs" if package in marked and package in each.packages else "plain",
                    )
                    for each in manifest.environments
                ),
            )
            for package in packages
        ),
        note="Marked: not the same version in every environment that has it." if marked else "",
    )


def _title(environment: Environment, manifest: Manifest) -> str:
    title = manifest.titles.get(environment.framework, environment.framework)
    return f"{title} {environment.version}"


def _data_table(manifest: Manifest) -> Table:
    return Table(
        caption="Data",
        columns=(
            Column("Dataset"),
            Column("Training", number=True),
            Column("Test", number=True),
            Column("Found in"),
            Column("Place"),
            Column("SHA-256"),
        ),
        rows=tuple(
            (
                Datum(each.name, strong=True),
                Datum(f"{each.train_examples:,}"),
                Datum(f"{each.test_examples:,}"),
                Datum(each.source, "bad" if each.fallback_for else "plain"),
                Datum(each.place),
                Datum(shortened(each.sha256), "quiet"),
            )
            for each in manifest.datasets
        ),
    )


def _variables(story: Story) -> Table:
    """One row a value; most values are the same for all."""
    given = story.run.manifest.worker_environment
    holders: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for cell, variables in given.items():
        for variable, value in variables.items():
            holders[variable, value].append(cell)
    return Table(
        caption="An allow-list: workers get nothing else",
        columns=(Column("Variable"), Column("Value"), Column("Given to")),
        rows=tuple(
            (
                Datum(variable),
                Datum(value),
                Datum("all")
                if len(cells) == len(given)
                else Datum(", ".join(dict.fromkeys(map(story.cast.name, cells))), "differs"),
            )
            for (variable, value), cells in sorted(holders.items())
        ),
    )


def _failure_table(story: Story, failures: list[Failure]) -> Table:
    return Table(
        caption="Failed",
        columns=(
            Column("Contender"),
            Column("Block", number=True),
            Column("Phase"),
            Column("Reason"),
        ),
        rows=tuple(
            (
                story.contender(event.cell),
                Datum(NOTHING if event.block is None else f"{event.block}"),
                Datum(event.phase),
                Datum(event.reason, "bad"),
            )
            for event in failures
        ),
    )


def _hash_table(story: Story) -> Table:
    started = {event.trial: event for event in story.run.events if isinstance(event, TrialStarted)}
    seen: dict[tuple[str, str, Hashes], None] = {}
    for event in story.run.events:
        if isinstance(event, Parity):
            seen[event.cell, "parity", event.hashes] = None
        elif isinstance(event, TrialFinished) and event.trial in started:
            trial = started[event.trial]
            cell = story.cast.member(trial.cell).cell
            kind = f"long trial, seed {trial.seed}" if trial.long else "short trial"
            kind += f", {cell.input}" if cell and cell.input == "loader" else ""
            seen[trial.cell, kind, event.hashes] = None
    return Table(
        caption="SHA-256, first 12 digits",
        columns=(
            Column("Contender"),
            Column("Of"),
            Column("Data"),
            Column("Weights"),
            Column("Order"),
        ),
        rows=tuple(
            (
                story.contender(cell),
                Datum(kind),
                Datum(shortened(hashes.data)),
                Datum(shortened(hashes.weights)),
                Datum(shortened(hashes.order) if hashes.order else "the loader's own"),
            )
            for cell, kind, hashes in seen
        ),
        note="Contenders whose hashes differ within a block are never compared.",
    )
