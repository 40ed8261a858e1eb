"""Conditions: machine, recipes, versions, variables, data; what failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from harness.analysis.settings import observed_settings
from harness.report.formats import NOTHING, gibibytes, shortened
from harness.report.page import (
    Block,
    Code,
    Column,
    Datum,
    Details,
    Paragraph,
    Section,
    Table,
    facts_table,
)
from harness.report.sections.story import Story
from harness.spec.events import Failure, Skip
from harness.spec.machine import Environment
from harness.spec.manifest import Manifest
from harness.spec.recipes import Recipe


def conditions_section(story: Story) -> Section:
    """On what, and with which versions and variables, it was measured."""
    manifest = story.run.manifest
    return Section(
        id="conditions",
        title="Machine and versions",
        blocks=(
            _machine_table(manifest),
            _recipe_table(manifest),
            _framework_table(manifest),
            *_package_tables(manifest),
            _data_table(manifest),
            Details(
                summary="Environment variables of workers",
                blocks=(_variables(story), *_seen(story)),
            ),
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
    return facts_table("Machine", facts)


def _recipe_table(manifest: Manifest) -> Table:
    """What is trained: everything that is matched between contenders."""
    recipes = dict.fromkeys(cell.recipe for cell in manifest.cells)
    return Table(
        caption="Recipes",
        columns=(
            Column("Recipe"),
            Column("Model"),
            Column("Dataset"),
            Column("Batch", number=True),
            Column("Epochs", number=True),
            Column("Initial weights"),
            Column("Optimizer"),
        ),
        rows=tuple(
            (
                Datum(recipe.label, strong=True),
                Datum(recipe.model),
                Datum(recipe.dataset),
                Datum(f"{recipe.batch_size:,}"),
                Datum(f"{recipe.epochs:,}"),
                Datum(recipe.init),
                Datum(_optimizer_in_words(recipe)),
            )
            for recipe in recipes
        ),
    )


def _optimizer_in_words(recipe: Recipe) -> str:
    """``SGD, learning rate 0.9``; constants that are 0 do nothing and are left out."""
    constants = msgspec.structs.asdict(recipe.optimizer)
    named = [f"{name.replace('_', ' ')} {value:g}" for name, value in constants.items() if value]
    kind = type(recipe.optimizer).__name__
    return ", ".join((kind if kind == "Adam" else kind.upper(), *named))


_NOT_OURS = (
    "A path: the interpreter was there already, with the packages below, and nothing was installed "
    "into it."
)


def _framework_table(manifest: Manifest) -> Table:
    return Table(
        caption="Frameworks",
        columns=(Column("Framework"), Column("Version"), Column("Python"), Column("Environment")),
        rows=tuple(
            (
                Datum(manifest.titles.get(each.framework, each.framework)),
                Datum(each.version, strong=True),
                Datum(each.python),
                Datum(each.interpreter or shortened(each.key), "quiet"),
            )
            for each in manifest.environments
        ),
        note=_NOT_OURS if any(each.interpreter for each in manifest.environments) else "",
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


def _seen(story: Story) -> Iterator[Table]:
    """Which of them were seen to take effect; nothing in runs that did not look."""
    settings = observed_settings(story.run.events)
    if not settings:
        return

    def names(cells: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(map(story.cast.name, cells))) or NOTHING

    yield Table(
        caption="Settings, as seen at work from inside the workers",
        columns=(Column("Setting"), Column("Took effect in"), Column("Did not in")),
        rows=tuple(
            (
                Datum(each.name),
                Datum(names(each.effective_in)),
                Datum(
                    "; ".join(
                        f"{names([cell])}: {instead}" for cell, instead in each.refused_in.items()
                    )
                    or NOTHING,
                    "doubt" if each.refused_in else "plain",
                ),
            )
            for each in settings
        ),
        note="The others can't be seen from inside.",
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
