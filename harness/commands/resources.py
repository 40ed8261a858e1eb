"""What a run needs of this machine: environments and data, found once, or found again."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.commands.catalogue import Catalogue
from harness.commands.code import code_digest
from harness.commands.gpu_preflight import check_device_free
from harness.commands.inputs import same_datasets
from harness.commands.pythons import as_recorded
from harness.console import Console
from harness.datasets.records import Dataset
from harness.environments.collection import Environments
from harness.environments.machine import inspect_machine
from harness.environments.records import SyncedEnvironment
from harness.errors import UsageError
from harness.execution.planning import Choice
from harness.spec.cells import Cell
from harness.spec.manifest import Group, Manifest


class Resources(NamedTuple):
    """Environments and data of one run, all of them there."""

    choices: tuple[Choice, ...]
    environments: tuple[SyncedEnvironment, ...]
    """Of each choice."""
    datasets: dict[str, Dataset]
    """Name → the dataset that was found."""


def resources_of(
    console: Console, catalogue: Catalogue, manifest: Manifest, data_dir: str | None
) -> Resources:
    """What the run of ``manifest`` began with has been found again, to go on with it.

    Raises:
        LevelfieldError: the machine, the code, an environment or a dataset is not what it was.
    """
    implementations = catalogue.implementations
    gone = {record.framework for record in manifest.environments} - implementations.keys()
    if gone:
        raise UsageError(
            f"No implementation of {', '.join(sorted(gone))}, which the run measures: "
            "name its folder's parent with --impl-dir"
        )
    catalogue = as_recorded(catalogue, manifest)
    _check_same_machine(manifest)
    plan = manifest.plan
    together = plan.long_trials or any(plan.looks)
    alive = alive_together(plan.groups, manifest.cells, together)
    check_device_free(catalogue, alive, aa=plan.aa and together)
    choices = [
        Choice(catalogue.implementation(record.framework, record.variant), record.asked_version)
        for record in manifest.environments
    ]
    code = code_digests(choices)
    for name, digest in manifest.code.items():
        if code.get(name, digest) != digest:
            raise UsageError(
                f"The code of {name} is not the one that the run began with, expected the same: "
                "bring that back, or start a new run"
            )
    loader = any(cell.loads for cell in manifest.cells)
    synced = sync_environments(console, choices, manifest.cells[0].device, loader=loader)
    for before, now in zip(manifest.environments, synced, strict=True):
        if before.variant != now.record.variant:
            raise UsageError(
                f"The run measures {before.framework} as {before.variant}, which this command does "
                f"not know: go on with 'levelfield {manifest.command[1]} --resume {manifest.run}'"
            )
        if (before.packages, before.moving) != (now.record.packages, now.record.moving):
            raise UsageError(
                f"The environment of {before.framework} ({before.interpreter or now.folder}) is "
                "not the one that the run began with, expected the same packages: start a new run"
            )
        if before.interpreter and before.python != now.record.python:
            raise UsageError(
                f"The interpreter {before.interpreter} is Python {now.record.python}, expected "
                f"{before.python} as when the run began: start a new run"
            )
    datasets = same_datasets(console, manifest, data_dir)
    return Resources(tuple(choices), tuple(synced), datasets)


def sync_environments(
    console: Console, choices: Sequence[Choice], device: str, *, loader: bool = False
) -> list[SyncedEnvironment]:
    """The environment of each choice, made if it was not there.

    ``loader``: with what the frameworks' own data loaders need.
    """
    environments = Environments()
    names = [choice.implementation.name for choice in choices]
    return [
        environments.sync(
            choice.implementation,
            device,
            choice.version,
            loader=loader,
            progress=console.say,
            others=names,
        )
        for choice in choices
    ]


def code_digests(choices: Sequence[Choice]) -> dict[str, str]:
    """Key of each implementation → digest of what its workers run."""
    return {choice.implementation.key: code_digest(choice.implementation) for choice in choices}


def harness_versions() -> dict[str, str]:
    """Those that the harness's own clock and control kernel depend on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def cells_by_group(groups: Sequence[Group], cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells of each group."""
    by_id = {cell.id: cell for cell in cells}
    return [[by_id[name] for name in group.cells] for group in groups]


def alive_together(
    groups: Sequence[Group], cells: Sequence[Cell], together: bool
) -> list[list[Cell]]:
    """Cells whose workers are alive side by side, for each time that some are."""
    return cells_by_group(groups, cells) if together else [[cell] for cell in cells]


def _check_same_machine(manifest: Manifest) -> None:
    """What a run goes on with is what it began with: else its blocks were of two machines.

    Raises:
        UsageError: it is not; the line names the first field.
    """
    machine = inspect_machine()
    before = {**manifest.machine.identity, **manifest.harness}
    now = {**machine.identity, **harness_versions()}
    if manifest.machine.libc:  # which earlier versions did not record
        before["libc"], now["libc"] = manifest.machine.libc, machine.libc
    for field, value in before.items():
        if field in now and now[field] != value:
            raise UsageError(
                f"{field} of this machine is {_in_words(now[field])}, expected "
                f"{_in_words(value)} as when {manifest.run} began: go on where it was begun, with "
                "as many CPUs and as much memory, or start a new run"
            )


def _in_words(value: object) -> str:
    return "none" if value is None else f"{value}"
