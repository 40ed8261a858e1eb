"""What has to be there before the first measurement: cells, environments, data, files."""

from __future__ import annotations

import datetime
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from harness import __version__, paths
from harness.analysis.slowdown import planned_blocks
from harness.commands.catalogue import Catalogue
from harness.commands.code import code_digest
from harness.commands.gpu_preflight import (
    cells_before_installation,
    check_device_free,
    fit_for_device,
)
from harness.commands.inputs import (
    DatasetProgress,
    Inputs,
    find_datasets,
    on_found_dataset,
    same_datasets,
)
from harness.console import Console
from harness.environments.collection import Environments
from harness.environments.machine import (
    available_memory_bytes,
    default_threads,
    inspect_machine,
)
from harness.environments.memory import memory_beyond_lenet_mib, memory_shortfall
from harness.environments.records import SyncedEnvironment
from harness.environments.variables import worker_environment
from harness.errors import UsageError, WorkplaceError
from harness.execution.block import Contender
from harness.execution.planning import (
    Choice,
    Installed,
    LeftOut,
    cells_of,
    chosen_implementations,
    chosen_modes,
    chosen_recipes,
    groups_of,
    in_pairs,
    looks_of,
    paced,
    without_input,
)
from harness.execution.process import BOOTSTRAP, bootstrap_in
from harness.execution.schedule import LEAD_IN_STEPS
from harness.spec.cells import Cell
from harness.spec.events import Group, Hashes, Manifest, Plan
from harness.spec.gates import GateTerms
from harness.spec.implementations import Implementation
from harness.spec.selection import Selection
from harness.spec.suites import Suite
from harness.worker.wire import Job

INPUTS = "inputs"
"""Folder in a run's folder: what its workers read. It is not kept once the run has ended."""


class Planned(NamedTuple):
    """A run that can begin."""

    manifest: Manifest
    left_out: list[LeftOut]


class Prepared(NamedTuple):
    """All that workers need, for every cell of a run."""

    contenders: dict[str, Contender]
    """Cell id → how to start its worker, from the run's own seed."""
    oracles: dict[str, Contender]
    """Cell id → how to start the oracle's worker on the same recipe."""
    expected_hashes: dict[str, Hashes]
    """Cell id → what its worker must report after a proof."""
    inputs: Inputs

    def contender(self, cell: str, seed: int) -> Contender:
        """How to start a worker of ``cell`` from another seed."""
        known = self.contenders[cell]
        job = self.inputs.job(known.cell, seed)
        return known._replace(
            job=msgspec.structs.replace(
                job, implementation=known.job.implementation, folder=known.job.folder
            )
        )


def plan_run(
    console: Console,
    catalogue: Catalogue,
    suite: Suite,
    selection: Selection,
    command: Sequence[str],
    *,
    pairs: Sequence[Choice] | None = None,
    gate: GateTerms | None = None,
) -> Planned:
    """Environments and data are there, and everything about the run is decided.

    ``pairs``: what to measure instead of the selection's frameworks, the reference of each pair
    first; then a cell is compared with its own versions and variants alone. ``gate``: the terms on
    which the run is judged afterwards.

    Raises:
        LevelfieldError: something that was asked for does not exist or can't be made.
    """
    device = selection.device or suite.device
    machine = inspect_machine()
    if pairs is None:
        choices = chosen_implementations(suite, selection, catalogue.implementations)
    else:
        choices = list(pairs)
    recipes = chosen_recipes(suite, selection, catalogue.recipes)
    modes, left_out = chosen_modes(suite, selection, [choice.implementation for choice in choices])
    left_out += without_input(selection, [choice.implementation for choice in choices])
    looks = looks_of(suite, selection)
    choices = [choice for choice in choices if modes[choice.implementation.name]]
    aa = suite.aa if selection.aa is None else selection.aa
    # A proof's worker is alone; the contenders of a block are alive together.
    together = suite.long_trials or any(looks)
    choices, unfit = fit_for_device(choices, device)
    left_out += unfit
    expected = cells_before_installation(choices, recipes, modes, selection, device)
    groups = groups_of(expected, None, paired=pairs is not None)
    check_device_free(catalogue, _alive(groups, expected, together), aa=aa and together)
    threads = selection.threads or default_threads()
    # Data before environments: a wrong name must not show only after gigabytes of downloads.
    datasets = find_datasets(console, recipes, selection.data_dir)
    loader = selection.inputs != ("resident",)
    environments = sync_environments(console, choices, device, loader=loader)
    recipes = [on_found_dataset(recipe, datasets, selection) for recipe in recipes]
    installed = [
        Installed(choice, one.record.version, one.record.variant)
        for choice, one in zip(choices, environments, strict=True)
    ]
    _check_distinct(installed)
    train_examples = {one.name: one.train_examples for one in datasets.values()}
    cells = cells_of(recipes, installed, modes, selection, device, threads)
    if pairs is not None:
        cells, alone = in_pairs(cells)
        left_out += alone
    if gate is not None:
        for pattern in gate.idle(cells):
            console.warn(f"[tool.levelfield.gate.cells.{pattern!r}] fits no cell of this gate")
    if gate is not None and selection.blocks is None and suite.blocks is None:
        looks = (planned_blocks(len({cell.series for cell in cells})),)
    groups = groups_of(cells, selection.reference, paired=pairs is not None)
    groups = paced(groups, cells, suite, train_examples)
    _check_memory(_alive(groups, cells, together), catalogue, aa)
    manifest = Manifest(
        run=f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}-{suite.name}",
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        levelfield=__version__,
        command=tuple(command),
        git_commit=git_commit(Path(selection.impl_dirs[0]) if selection.impl_dirs else paths.ROOT),
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
            seeds=tuple(range(selection.seed, selection.seed + suite.seeds)),
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
                    catalogue.implementation(cell.framework, cell.variant),
                    cell.settings,
                    threads,
                    device,
                ).items()
            }
            for cell in cells
        },
        harness={"python": platform.python_version(), "numpy": np.__version__},
        code=_code(choices),
        gate=gate,
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
    plan = manifest.plan
    together = plan.long_trials or any(plan.looks)
    alive = _alive(plan.groups, manifest.cells, together)
    check_device_free(catalogue, alive, aa=plan.aa and together)
    choices = [
        Choice(catalogue.implementation(record.framework, record.variant), record.asked_version)
        for record in manifest.environments
    ]
    code = _code(choices)
    for name, digest in manifest.code.items():
        if code.get(name, digest) != digest:
            raise UsageError(
                f"The code of {name} is not the one that the run began with, expected the same: "
                "bring that back, or start a new run"
            )
    loader = any(cell.loads for cell in manifest.cells)
    synced = sync_environments(console, choices, manifest.cells[0].device, loader=loader)
    [oracle] = sync_environments(console, [Choice(catalogue.oracle, None)], "cpu")
    for before, now in zip(manifest.environments, synced, strict=True):
        if before.variant != now.record.variant:
            raise UsageError(
                f"The run measures {before.framework} as {before.variant}, which this command does "
                f"not know: go on with 'levelfield {manifest.command[1]} --resume {manifest.run}'"
            )
        if before.packages != now.record.packages:
            raise UsageError(
                f"The environment of {before.framework} is not the one that the run began with, "
                "expected the same packages: start a new run"
            )
    environments = {
        (one.record.framework, one.record.version, one.record.variant): one for one in synced
    }
    datasets = same_datasets(console, manifest, data_dir)
    inputs = Inputs(folder / INPUTS, catalogue.models, manifest, datasets, DatasetProgress(console))
    contenders, oracles, hashes = {}, {}, {}
    for cell in manifest.cells:
        job = inputs.job(cell, manifest.plan.seed)
        hashes[cell.id] = inputs.expected_hashes(cell, manifest.plan.seed)
        implementation = catalogue.implementation(cell.framework, cell.variant)
        environment = environments[cell.framework, cell.version, cell.variant]
        contenders[cell.id] = Contender(
            cell,
            Path(environment.python),
            worker_environment(implementation, cell.settings, cell.threads, cell.device),
            msgspec.structs.replace(
                job, implementation=cell.framework, folder=implementation.folder
            ),
            bootstrap=bootstrap_of(implementation),
            script=implementation.script,
        )
        oracles[cell.id] = oracle_contender(catalogue, cell, job, oracle)
    return Prepared(contenders, oracles, hashes, inputs)


def oracle_contender(
    catalogue: Catalogue, cell: Cell, job: Job, environment: SyncedEnvironment
) -> Contender:
    """The oracle on the recipe of ``cell``, on the CPU, by the formulas of its implementation."""
    oracle = catalogue.oracle
    held = catalogue.implementation(cell.framework, cell.variant)
    setup = msgspec.structs.replace(
        job.setup,
        mode=oracle.default_mode,
        device="cpu",
        adam_formula=held.adam_formula,
        momentum_formula=held.momentum_formula,
        variance_formula=held.variance_formula_on(cell.device),
    )
    return Contender(
        msgspec.structs.replace(
            cell, framework=oracle.name, mode=oracle.default_mode, device="cpu"
        ),
        Path(environment.python),
        worker_environment(oracle, "matched", cell.threads, "cpu"),
        msgspec.structs.replace(job, implementation=oracle.name, folder=oracle.folder, setup=setup),
    )


def bootstrap_of(implementation: Implementation) -> Path:
    """What starts its workers: another revision's code has its own worker."""
    return bootstrap_in(Path(implementation.tree)) if implementation.tree else BOOTSTRAP


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


def _code(choices: Sequence[Choice]) -> dict[str, str]:
    return {choice.implementation.key: code_digest(choice.implementation) for choice in choices}


def _check_distinct(installed: Sequence[Installed]) -> None:
    """Nothing would be measured against itself under another name."""
    seen = set()
    for choice, version, variant in installed:
        name = choice.implementation.name
        if (name, version, variant) in seen:
            raise UsageError(
                f"{name} is asked for twice and is {version} both times, expected two versions: "
                "name another one, or leave one out"
            )
        seen.add((name, version, variant))


def _alive(groups: Sequence[Group], cells: Sequence[Cell], together: bool) -> list[list[Cell]]:
    """Cells whose workers are alive side by side, for each time that some are."""
    return cells_by_group(groups, cells) if together else [[cell] for cell in cells]


def _check_memory(groups: Sequence[Sequence[Cell]], catalogue: Catalogue, aa: bool) -> None:
    for cells in groups:
        needs = [_memory_mib(cell, catalogue) for cell in cells]
        shortfall = memory_shortfall(needs + needs[:1] * aa, available_memory_bytes())
        if shortfall:
            raise WorkplaceError(shortfall)


def _memory_mib(cell: Cell, catalogue: Catalogue) -> int:
    """An estimate of a worker's peak, from its LeNet's and the size of its own model."""
    model = catalogue.models[cell.recipe.model]
    extra = memory_beyond_lenet_mib(model, cell.recipe.batch_size)
    return catalogue.implementation(cell.framework, cell.variant).memory_mib + extra
