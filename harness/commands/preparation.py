"""What has to be there before the first measurement: cells, environments, data, files."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from harness import __version__, paths
from harness.commands.catalogue import Catalogue
from harness.console import Console
from harness.datasets.arrays import digest_of_order, digest_of_weights
from harness.datasets.catalogue import read_catalogue as read_datasets
from harness.datasets.order import batch_order
from harness.datasets.records import Dataset
from harness.datasets.search import find_dataset
from harness.datasets.weights import initial_weights
from harness.environments.collection import Environments
from harness.environments.machine import (
    available_memory_bytes,
    default_threads,
    inspect_machine,
)
from harness.environments.memory import memory_shortfall
from harness.environments.records import SyncedEnvironment
from harness.environments.variables import worker_environment
from harness.errors import UsageError, WorkplaceError
from harness.execution.block import Contender
from harness.execution.planning import (
    Choice,
    LeftOut,
    cells_of,
    chosen_implementations,
    chosen_modes,
    chosen_recipes,
    groups_of,
    looks_of,
)
from harness.execution.proof import PROOF_BATCH_SIZE, PROOF_STEPS
from harness.execution.schedule import LEAD_IN_STEPS, equal_step_epochs
from harness.spec.cells import Cell
from harness.spec.events import Group, Hashes, Manifest, Plan
from harness.spec.recipes import Recipe
from harness.spec.selection import Selection
from harness.spec.suites import Suite
from harness.worker.wire import Job
from impls.adapter import Setup


class Planned(NamedTuple):
    """A run that can begin."""

    manifest: Manifest
    left_out: list[LeftOut]


class Prepared(NamedTuple):
    """All that workers need, for every cell of a run."""

    contenders: dict[str, Contender]
    """Cell id → how to start its worker."""
    oracles: dict[str, Contender]
    """Cell id → how to start the oracle's worker on the same recipe."""
    expected_hashes: dict[str, Hashes]
    """Cell id → what its worker must report after a proof."""


def plan_run(
    console: Console,
    catalogue: Catalogue,
    suite: Suite,
    selection: Selection,
    command: Sequence[str],
) -> Planned:
    """Environments and data are there, and everything about the run is decided.

    Raises:
        LevelfieldError: something that was asked for does not exist or can't be made.
    """
    device = selection.device or suite.device
    machine = inspect_machine()
    if device != "cpu" and machine.gpu is None:
        raise WorkplaceError(
            f"No GPU found for --device {device} (no NVIDIA driver answered), expected one: "
            "install its driver, or measure with --device cpu"
        )
    choices = chosen_implementations(suite, selection, catalogue.implementations)
    recipes = chosen_recipes(suite, selection, catalogue.recipes)
    modes, left_out = chosen_modes(suite, selection, [choice.implementation for choice in choices])
    looks = looks_of(suite, selection)
    choices = [choice for choice in choices if modes[choice.implementation.name]]
    threads = selection.threads or default_threads()
    # Data before environments: a wrong name must not show only after gigabytes of downloads.
    datasets = find_datasets(console, recipes, selection.data_dir)
    environments = sync_environments(console, choices, device)
    recipes = [on_found_dataset(recipe, datasets, selection) for recipe in recipes]
    versions = [one.record.version for one in environments]
    chosen = zip(choices, versions, strict=True)
    cells = cells_of(recipes, chosen, modes, selection, device, threads)
    groups = groups_of(cells, selection.reference)
    aa = suite.aa if selection.aa is None else selection.aa
    _check_memory(cells_by_group(groups, cells), catalogue, aa)
    manifest = Manifest(
        run=f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}-{suite.name}",
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        levelfield=__version__,
        command=tuple(command),
        git_commit=git_commit(paths.ROOT),
        machine=machine,
        environments=tuple(one.record for one in environments),
        cells=tuple(cells),
        titles={one.implementation.name: one.implementation.title for one in choices},
        plan=Plan(
            suite=suite.name,
            groups=tuple(groups),
            looks=looks,
            rounds=suite.rounds,
            window_steps=suite.window_steps,
            lead_in_steps=LEAD_IN_STEPS,
            long_trials=suite.long_trials,
            aa=aa,
            seed=selection.seed,
            budget_seconds=selection.budget_seconds,
        ),
        datasets=tuple(
            msgspec.structs.replace(one.used(), place=without_home(one.place))
            for one in datasets.values()
        ),
        worker_environment={
            cell.id: {
                name: without_home(value)
                for name, value in worker_environment(
                    catalogue.implementations[cell.framework], cell.settings, threads, device
                ).items()
            }
            for cell in cells
        },
    )
    return Planned(manifest, left_out)


def prepare_workers(
    console: Console, catalogue: Catalogue, manifest: Manifest, folder: Path, data_dir: str | None
) -> Prepared:
    """Everything that the workers of ``manifest`` need is in place, its inputs in ``folder``.

    Raises:
        LevelfieldError: an environment or a dataset is not what it was when the run was planned.
    """
    implementations = catalogue.implementations
    gone = {record.framework for record in manifest.environments} - implementations.keys()
    if gone:
        raise UsageError(
            f"No implementation of {', '.join(sorted(gone))}, which the run measures: "
            "name its folder's parent with --impl-dir"
        )
    choices = [
        Choice(implementations[record.framework], record.asked_version)
        for record in manifest.environments
    ]
    synced = sync_environments(console, choices, manifest.cells[0].device)
    [oracle] = sync_environments(console, [Choice(catalogue.oracle, None)], "cpu")
    for before, now in zip(manifest.environments, synced, strict=True):
        if before.packages != now.record.packages:
            raise UsageError(
                f"The environment of {before.framework} is not the one that the run began with, "
                "expected the same packages: start a new run"
            )
    environments = {(one.record.framework, one.record.version): one for one in synced}
    datasets = {}
    for used in manifest.datasets:
        found = find_dataset(used.name, _path(data_dir), progress=DatasetProgress(console))
        if found.sha256 != used.sha256:
            raise UsageError(
                f"{used.name} is {found.sha256[:12]}, expected {used.sha256[:12]} as when the run "
                "began: start a new run"
            )
        datasets[used.name] = found
    inputs = Inputs(folder / "inputs", catalogue, manifest, datasets)
    contenders, oracles, hashes = {}, {}, {}
    for cell in manifest.cells:
        job, hashes[cell.id] = inputs.job(cell)
        implementation = implementations[cell.framework]
        contenders[cell.id] = Contender(
            cell,
            Path(environments[cell.framework, cell.version].python),
            worker_environment(implementation, cell.settings, cell.threads, cell.device),
            msgspec.structs.replace(
                job, implementation=cell.framework, folder=implementation.folder
            ),
        )
        oracles[cell.id] = oracle_contender(catalogue, cell, job, oracle)
    return Prepared(contenders, oracles, hashes)


def oracle_contender(
    catalogue: Catalogue, cell: Cell, job: Job, environment: SyncedEnvironment
) -> Contender:
    """The oracle on the recipe of ``cell``, on the CPU, by the formulas of its implementation."""
    oracle = catalogue.oracle
    held = catalogue.implementations[cell.framework]
    setup = msgspec.structs.replace(
        job.setup,
        mode=oracle.default_mode,
        device="cpu",
        adam_formula=held.adam_formula,
        momentum_formula=held.momentum_formula,
    )
    return Contender(
        msgspec.structs.replace(
            cell, framework=oracle.name, mode=oracle.default_mode, device="cpu"
        ),
        Path(environment.python),
        worker_environment(oracle, "matched", cell.threads, "cpu"),
        msgspec.structs.replace(job, implementation=oracle.name, folder=oracle.folder, setup=setup),
    )


class Inputs:
    """The files that workers read: initial weights and batch order; made anew where missing."""

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        manifest: Manifest,
        datasets: Mapping[str, Dataset],
    ) -> None:
        self._folder = folder
        self._models = catalogue.models
        self._seed = manifest.plan.seed
        self._epochs = max(cell.recipe.epochs for cell in manifest.cells)
        self._datasets = datasets
        folder.mkdir(parents=True, exist_ok=True)

    def job(self, cell: Cell) -> tuple[Job, Hashes]:
        """What a worker of ``cell`` builds (implementation left open), and what it must report."""
        recipe = cell.recipe
        model = self._models[recipe.model]
        dataset = self._datasets[recipe.dataset]
        weights_path = self._folder / f"weights-{recipe.model}-{recipe.init}-{self._seed}.npz"
        weights = initial_weights(model, recipe.init, self._seed)
        if not weights_path.exists():
            np.savez(weights_path, **weights)  # type: ignore[arg-type]  # numpy/numpy#23006
        order_path = self._folder / f"order-{recipe.dataset}-{self._epochs}-{self._seed}.npy"
        if not order_path.exists():
            np.save(order_path, batch_order(self._seed, self._epochs, dataset.train_examples))
        proof_order = np.load(order_path, mmap_mode="r")[0][: PROOF_BATCH_SIZE * PROOF_STEPS]
        job = Job(
            implementation="",
            folder="",
            setup=Setup(
                model=model,
                optimizer=recipe.optimizer,
                batch_size=recipe.batch_size,
                mode=cell.mode,
                device=cell.device,
                threads=cell.threads,
            ),
            data_folder=dataset.folder,
            weights=str(weights_path),
            order=str(order_path),
        )
        hashes = Hashes(
            data=dataset.sha256,
            weights=digest_of_weights(weights),
            order=digest_of_order(proof_order),
        )
        return job, hashes


class DatasetProgress:
    """Tells the console what a search for a dataset does."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        """The console says ``text``."""
        self._console.say(text)

    def advance(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        """The console shows how far ``what`` has come."""
        self._console.transferred(what, done_bytes, total_bytes)


def sync_environments(
    console: Console, choices: Sequence[Choice], device: str
) -> list[SyncedEnvironment]:
    """The environment of each choice, made if it was not there."""
    environments = Environments()
    names = [choice.implementation.name for choice in choices]
    return [
        environments.sync(
            choice.implementation, device, choice.version, progress=console.say, others=names
        )
        for choice in choices
    ]


def find_datasets(
    console: Console, recipes: Sequence[Recipe], data_dir: str | None
) -> dict[str, Dataset]:
    """Asked name → dataset found; a stand-in is said loudly."""
    found = {}
    for name in dict.fromkeys(recipe.dataset for recipe in recipes):
        dataset = find_dataset(name, _path(data_dir), progress=DatasetProgress(console))
        if dataset.fallback_for:
            console.warn(
                f"{dataset.fallback_for} was not found and could not be downloaded. The embedded "
                f"{dataset.name} ({dataset.train_examples:,} training images) stands in: another "
                "dataset, whose results are not comparable with those of the full one."
            )
        else:
            console.say(
                f"{name}: {dataset.train_examples:,} + {dataset.test_examples:,} images, "
                f"from {dataset.source} ({dataset.place})"
            )
        found[name] = dataset
    return found


def on_found_dataset(
    recipe: Recipe, datasets: Mapping[str, Dataset], selection: Selection
) -> Recipe:
    """``recipe`` on the dataset that was found, with the steps of the one it was written for.

    An explicit number of epochs is kept as it is.
    """
    found = datasets[recipe.dataset]
    entries = read_datasets()
    marks = dict(mark.split("=", 1) for mark in recipe.overrides)
    if found.name == recipe.dataset and "dataset" not in marks:
        return recipe
    epochs = recipe.epochs
    if selection.epochs is None:
        whole = max(entry.train_examples for entry in entries.values())
        epochs = equal_step_epochs(recipe.epochs, recipe.batch_size, found.train_examples, whole)
    return recipe.overridden(dataset=found.name, epochs=epochs)


def cells_by_group(groups: Sequence[Group], cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells of each group."""
    by_id = {cell.id: cell for cell in cells}
    return [[by_id[name] for name in group.cells] for group in groups]


def git_commit(folder: Path) -> str | None:
    """The commit that ``folder`` is at, with ``+`` where it has changes; nothing outside git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "-s") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def without_home(text: str) -> str:
    """``text`` with ``~`` for the user's home folder: reports are shown to others."""
    return text.replace(str(Path.home()), "~")


def command_line(arguments: Sequence[str] | None = None) -> tuple[str, ...]:
    """The command that makes such a run again: without ``--json`` and ``--resume``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return ("levelfield", *(argument for argument in given if argument != "--json"))


def _check_memory(groups: Sequence[Sequence[Cell]], catalogue: Catalogue, aa: bool) -> None:
    for cells in groups:
        needs = [catalogue.implementations[cell.framework].memory_mib for cell in cells]
        shortfall = memory_shortfall(needs + needs[:1] * aa, available_memory_bytes())
        if shortfall:
            raise WorkplaceError(shortfall)


def _path(folder: str | None) -> Path | None:
    return Path(folder) if folder else None
