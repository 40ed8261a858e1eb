"""What has to be there before the first measurement: cells, environments, data, files."""

from __future__ import annotations

import datetime
import platform
import re
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
from harness.environments.memory import (
    batches_bytes,
    memory_beyond_lenet_mib,
    memory_shortfall,
    shared_memory_left_bytes,
    shared_memory_shortfall,
)
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
from harness.execution.proof import PROOF_STEPS
from harness.execution.schedule import LEAD_IN_STEPS, POINTS_PER_EPOCH
from harness.execution.timeouts import of_job as timeouts_of_job
from harness.spec.cells import Cell
from harness.spec.events import Group, Manifest, Plan, Study
from harness.spec.gates import GateTerms
from harness.spec.implementations import Float64, Implementation
from harness.spec.recipes import oracle_optimizer
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
    oracle_code: str
    """Digest of what the oracle's worker runs."""
    float64: dict[str, Float64 | None]
    """Cell id → how its implementation computes in float64, if it can."""
    inputs: Inputs

    def contender(self, cell: str, seed: int) -> Contender:
        """How to start a worker of ``cell`` from another seed."""
        return self._from_seed(self.contenders[cell], seed)

    def oracle(self, cell: str, seed: int) -> Contender:
        """How to start the oracle's worker beside it."""
        return self._from_seed(self.oracles[cell], seed)

    def _from_seed(self, known: Contender, seed: int) -> Contender:
        job = self.inputs.job(known.cell, seed)
        return known._replace(
            job=msgspec.structs.replace(
                known.job,
                weights=job.weights,
                order=job.order,
                setup=msgspec.structs.replace(known.job.setup, seed=seed),
            )
        )


def plan_run(
    console: Console,
    catalogue: Catalogue,
    suite: Suite,
    selection: Selection,
    command: Sequence[str],
    *,
    study: Study = "run",
    pairs: Sequence[Choice] | None = None,
    gate: GateTerms | None = None,
) -> Planned:
    """Environments and data are there, and everything about the run is decided.

    Args:
        console: says what is being fetched and made.
        catalogue: all that there is to choose from.
        suite: what is measured where ``selection`` says nothing else.
        selection: what was asked for on the command line.
        command: the command line, for the record.
        study: what the run will be judged as.
        pairs: what to measure instead of the selection's frameworks, the reference of each pair
            first; then a cell is compared with its own versions and variants alone.
        gate: the terms on which a gate's run is judged afterwards.

    Raises:
        LevelfieldError: something that was asked for does not exist or can't be made.
    """
    device = selection.device or suite.device
    threads = _threads(selection)
    machine = inspect_machine()
    if pairs is None:
        choices = chosen_implementations(suite, selection, catalogue.implementations)
    else:
        choices = list(pairs)
    recipes = chosen_recipes(suite, selection, catalogue.recipes)
    chosen = [choice.implementation for choice in choices]
    modes, left_out = chosen_modes(suite, selection, chosen, device)
    left_out += without_input(selection, chosen)
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
        study=study,
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
            timeout_seconds=selection.timeout_seconds,
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
        harness=_versions(),
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
    _check_same_machine(manifest)
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
        if (before.packages, before.moving) != (now.record.packages, now.record.moving):
            raise UsageError(
                f"The environment of {before.framework} is not the one that the run began with, "
                "expected the same packages: start a new run"
            )
    environments = {
        (one.record.framework, one.record.version, one.record.variant): one for one in synced
    }
    datasets = same_datasets(console, manifest, data_dir)
    inputs = Inputs(folder / INPUTS, catalogue.models, manifest, datasets, DatasetProgress(console))
    contenders, oracles, float64 = {}, {}, {}
    for cell in manifest.cells:
        job = inputs.job(cell, manifest.plan.seed)
        timeouts = timeouts_of_job(
            job,
            _steps_of_an_answer(manifest.plan, inputs.train_examples(cell), job),
            inputs.train_examples(cell),
            inputs.test_examples(cell),
            manifest.plan.timeout_seconds,
        )
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
            timeouts=timeouts,
        )
        oracles[cell.id] = oracle_contender(catalogue, cell, job, oracle)._replace(
            timeouts=timeouts
        )
        float64[cell.id] = implementation.float64
    oracle_code = code_digest(catalogue.oracle)
    return Prepared(contenders, oracles, oracle_code, float64, inputs)


def _versions() -> dict[str, str]:
    """Those that the harness's own clock and control kernel depend on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _check_same_machine(manifest: Manifest) -> None:
    """What a run goes on with is what it began with: else its blocks were of two machines.

    Raises:
        UsageError: it is not; the line names the first field.
    """
    machine = inspect_machine()
    before = {**manifest.machine.identity, **manifest.harness}
    now = {**machine.identity, **_versions()}
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


def _threads(selection: Selection) -> int:
    """Of each worker.

    Raises:
        UsageError: there are not so many CPUs: threads would wait for each other, and a thousand
            for the machine.
    """
    most = default_threads()
    if selection.threads is not None and selection.threads > most:
        raise UsageError(
            f"--threads is {selection.threads}, expected at most {most}, the CPUs that this "
            "process may use: name fewer"
        )
    return selection.threads or most


def _steps_of_an_answer(plan: Plan, train_examples: int, job: Job) -> int:
    """The most that a worker, or the oracle, takes before it says something."""
    window = plan.lead_in_steps + max(
        [plan.window_steps, *(group.window_steps or 0 for group in plan.groups)]
    )
    epoch = train_examples // job.setup.batch_size
    proof = PROOF_STEPS + window * plan.rounds
    return max(proof, -(-epoch // POINTS_PER_EPOCH) if plan.long_trials else 0)


def oracle_contender(
    catalogue: Catalogue, cell: Cell, job: Job, environment: SyncedEnvironment
) -> Contender:
    """The oracle on the recipe of ``cell``, on the CPU, by the formulas of its implementation."""
    oracle = catalogue.oracle
    held = catalogue.implementation(cell.framework, cell.variant)
    setup = msgspec.structs.replace(
        job.setup,
        optimizer=oracle_optimizer(job.setup.optimizer),
        mode=oracle.default_mode,
        device="cpu",
        adam_formula=held.adam_formula,
        momentum_formula=held.momentum_formula,
        variance_formula=held.variance_formula_on(cell.device),
    )
    return Contender(
        msgspec.structs.replace(
            cell,
            framework=oracle.name,
            version=environment.record.version,
            mode=oracle.default_mode,
            device="cpu",
        ),
        Path(environment.python),
        # One thread each: its modes are computed side by side.
        worker_environment(oracle, "matched", 1, "cpu"),
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
    home = paths.user_home()
    if home is None:
        return text
    # A folder whose name only begins like it is another one.
    return re.sub(rf"(?<![\w.~-]){re.escape(str(home))}(?![\w-]|\.\w)", "~", text)


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
        shared = [_batches_bytes(cell, catalogue) for cell in cells]
        shortfall = shortfall or shared_memory_shortfall(
            sum(shared + shared[:1] * aa), shared_memory_left_bytes()
        )
        if shortfall:
            raise WorkplaceError(shortfall)


def _batches_bytes(cell: Cell, catalogue: Catalogue) -> int:
    """Shared memory that the cell's loader takes."""
    if not catalogue.implementation(cell.framework, cell.variant).loader_processes:
        return 0
    model = catalogue.models[cell.recipe.model]
    return batches_bytes(model, cell.recipe.batch_size, cell.loader_workers)


def _memory_mib(cell: Cell, catalogue: Catalogue) -> int:
    """An estimate of a worker's peak, from its LeNet's and the size of its own model."""
    model = catalogue.models[cell.recipe.model]
    extra = memory_beyond_lenet_mib(model, cell.recipe.batch_size)
    return catalogue.implementation(cell.framework, cell.variant).memory_mib + extra
