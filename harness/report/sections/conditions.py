"""Conditions: machine, versions, variables, data; what failed; how to make such a run again."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator

from harness.report.formats import NOTHING, count, gibibytes, shortened
from harness.report.page import Block, Code, Column, Datum, Details, Paragraph, Section, Table
from harness.report.sections.story import Story
from harness.spec.events import Failure, Hashes, Manifest, Parity, Skip, TrialFinished, TrialStarted
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
            *_differing_packages(manifest),
            Details(
                summary="All packages",
                blocks=tuple(_package_table(each, manifest) for each in manifest.environments),
            ),
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


def reproduction_section(story: Story) -> Section:
    """The command, what it was run with, and hashes of what was trained on."""
    manifest = story.run.manifest
    plan = manifest.plan
    looks = " and ".join(f"{look}" for look in plan.looks)
    facts = [
        ("Level Field", manifest.levelfield),
        ("Commit of the implementations", manifest.git_commit or "not in a git checkout"),
        ("Suite", plan.suite),
        ("Looks", f"after {looks} blocks"),
        ("Block", f"{count(plan.rounds, 'round')} of {count(plan.window_steps, 'timed step')}"),
        ("Lead-in", count(plan.lead_in_steps, "step")),
        ("Seed", f"{plan.seed}"),
    ]
    return Section(
        id="reproduce",
        title="Do it again",
        lead="The command that makes such a run, and hashes of what the workers really used.",
        blocks=(
            Code(text=shlex.join(manifest.command)),
            _facts_table("Plan", facts),
            Details(summary="Hashes", blocks=(_hash_table(story),)),
        ),
    )


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


def _differing_packages(manifest: Manifest) -> Iterator[Table]:
    """Packages that several environments have, in versions that are not the same."""
    environments = manifest.environments
    versions: defaultdict[str, set[str]] = defaultdict(set)
    for environment in environments:
        for package, version in environment.packages.items():
            versions[package].add(version)
    differing = sorted(package for package, seen in versions.items() if len(seen) > 1)
    if differing:
        yield Table(
            caption="Packages whose versions differ",
            columns=(Column("Package"), *(Column(_title(each, manifest)) for each in environments)),
            rows=tuple(
                (
                    Datum(package),
                    *(Datum(each.packages.get(package, NOTHING)) for each in environments),
                )
                for package in differing
            ),
        )


def _title(environment: Environment, manifest: Manifest) -> str:
    title = manifest.titles.get(environment.framework, environment.framework)
    return f"{title} {environment.version}"


def _package_table(environment: Environment, manifest: Manifest) -> Table:
    return Table(
        caption=_title(environment, manifest),
        columns=(Column("Package"), Column("Version")),
        rows=tuple(
            (Datum(package), Datum(version))
            for package, version in sorted(environment.packages.items())
        ),
    )


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
                else Datum(", ".join(dict.fromkeys(map(story.cast.name, cells)))),
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
            seen[trial.cell, "long trial" if trial.long else "short trial", event.hashes] = None
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
                *(Datum(shortened(each)) for each in (hashes.data, hashes.weights, hashes.order)),
            )
            for cell, kind, hashes in seen
        ),
        note="Contenders whose hashes differ within a block are never compared.",
    )
