"""What a run is going to do, and how long that takes: said before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.analysis.durations import seconds_ahead
from harness.commands.catalogue import Catalogue
from harness.commands.sketch import Sketch, sketch_run
from harness.console import Console
from harness.datasets.search import dataset_info
from harness.environments.collection import Environments
from harness.environments.machine import inspect_machine
from harness.execution.planning import Choice
from harness.report.formats import count
from harness.spec.cells import Cell
from harness.spec.machine import Machine
from harness.spec.manifest import Group, Manifest
from harness.spec.selection import Selection
from harness.spec.suites import Suite
from harness.store.durations import read_durations


class PlannedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Contenders that will take turns in the same blocks."""

    group: str
    contenders: tuple[str, ...]
    """Framework and mode, the reference first; the version too where one was asked for."""


class DryRunAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--dry-run --json`` says."""

    groups: tuple[PlannedGroup, ...]
    looks: tuple[int, ...]
    """Numbers of short blocks after which verdicts are looked at."""
    trainings: int
    """Whole trainings of each contender."""
    second_copy: bool
    """Whether each group's reference runs twice."""
    environments_to_make: tuple[str, ...]
    """Frameworks whose environment is not there yet."""
    datasets_to_fetch: tuple[str, ...]
    """Datasets that no source on this machine holds."""
    seconds_to_first_look: float | None
    """Of blocks and trainings, without proofs and without what is to be made and fetched; nothing
    where blocks of this kind were never measured here."""
    seconds_to_last_look: float | None
    """Likewise, where a pair stays open until then."""
    left_out: tuple[str, ...]
    """What was asked for and can't be, each with its reason."""


def outlook(manifest: Manifest) -> str:
    """How much a run is going to do, and how long that takes where it is known, in one line."""
    plan = manifest.plan
    cells = {cell.id: cell for cell in manifest.cells}
    trainings = len(plan.seeds) if plan.long_trials else 0
    first, last = (
        _seconds(plan.groups, cells, manifest.machine, plan.aa, blocks, trainings)
        for blocks in (min(plan.looks), max(plan.looks))
    )
    what = _what(plan.groups, plan.looks, trainings, aa=plan.aa)
    return f"{what}. {_how_long(first, last, plan.looks)}"


def show_dry_run(
    console: Console, catalogue: Catalogue, suite: Suite, selection: Selection
) -> None:
    """What would be done stands on standard output; nothing is fetched, made or measured.

    Raises:
        LevelfieldError: something that was asked for does not exist, or the device is taken.
    """
    sketch = sketch_run(catalogue, suite, selection)
    cells = {cell.id: cell for cell in sketch.cells}
    trainings = suite.seeds if suite.long_trials else 0
    machine = inspect_machine()
    first, last = (
        _seconds(sketch.groups, cells, machine, sketch.aa, blocks, trainings)
        for blocks in (min(sketch.looks), max(sketch.looks))
    )
    answer = DryRunAnswer(
        groups=tuple(
            PlannedGroup(
                group=group.name, contenders=tuple(_contender(cells[name]) for name in group.cells)
            )
            for group in sketch.groups
        ),
        looks=sketch.looks,
        trainings=trainings,
        second_copy=sketch.aa,
        environments_to_make=tuple(_environments_to_make(catalogue, sketch, selection)),
        datasets_to_fetch=tuple(_datasets_to_fetch(sketch, selection)),
        seconds_to_first_look=first,
        seconds_to_last_look=last,
        left_out=tuple(f"{what}: {reason}" for what, reason in sketch.left_out),
    )
    for group in answer.groups:
        console.result(f"{group.group}: {', '.join(group.contenders)}")
    for what in answer.left_out:
        console.result(f"left out: {what}")
    for name in answer.environments_to_make:
        console.result(f"to be made: the environment of {name}")
    for name in answer.datasets_to_fetch:
        console.result(f"to be fetched: {name}")
    console.result(f"{_what(sketch.groups, sketch.looks, trainings, aa=sketch.aa)}.")
    console.result(f"{_how_long(first, last, sketch.looks)} Nothing was measured.")
    console.answer(answer)


def _environments_to_make(catalogue: Catalogue, sketch: Sketch, selection: Selection) -> list[str]:
    environments, loads = Environments(), selection.inputs != ("resident",)
    wanted = [(choice, sketch.device, loads) for choice in sketch.choices]
    return [
        choice.implementation.name
        for choice, device, loader in (*wanted, (Choice(catalogue.oracle, None), "cpu", False))
        if environments.find(choice.implementation, device, choice.version, loader=loader) is None
    ]


def _datasets_to_fetch(sketch: Sketch, selection: Selection) -> list[str]:
    folder = Path(selection.data_dir) if selection.data_dir else None
    return [
        name
        for name in dict.fromkeys(recipe.dataset for recipe in sketch.recipes)
        if not any(
            source.state == "valid" and source.dataset == name
            for source in dataset_info(name, folder).sources
        )
    ]


def _contender(cell: Cell) -> str:
    version = f"@{cell.version}" if cell.version else ""
    stock = ", stock settings" if cell.settings == "stock" else ""
    return f"{cell.framework}{version} {cell.mode}{stock}"


def _seconds(
    groups: Sequence[Group],
    cells: dict[str, Cell],
    machine: Machine,
    aa: bool,
    blocks: int,
    trainings: int,
) -> float | None:
    known = read_durations(machine)
    return seconds_ahead(groups, cells, known, aa=aa, blocks=blocks, trainings=trainings)


def _what(groups: Sequence[Group], looks: Sequence[int], trainings: int, *, aa: bool) -> str:
    """``2 groups of 3 contenders and a second copy: 1 whole training each, up to 20 blocks``."""
    sizes = sorted({len(group.cells) for group in groups})
    several = f"{sizes[0]} to {sizes[-1]} contenders" if len(sizes) > 1 else ""
    copy = " and a second copy" if aa and max(looks) else ""
    parts = [count(trainings, "whole training") + " each"] if trainings else []
    if max(looks):
        up_to = "up to " if len(looks) > 1 else ""
        parts.append(f"{up_to}{count(max(looks), 'block')}")
    work = ", ".join(parts) or "proofs alone"
    who = several or count(sizes[0], "contender")
    return f"{count(len(groups), 'group')} of {who}{copy}: {work}"


def _how_long(first: float | None, last: float | None, looks: Sequence[int]) -> str:
    if first is None or last is None:
        return "How long that takes is not known on this machine yet."
    if not first:
        return "How long proofs take is not foretold."
    soon = f"About {_minutes(first)}"
    if len(looks) > 1:
        soon += f" to the first look, {_minutes(last)} if a pair stays open to the last"
    return f"{soon}, as such blocks took here; proofs come on top."


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
