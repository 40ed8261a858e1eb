"""How to start every worker of a run, with its inputs in place."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.commands.catalogue import Catalogue
from harness.commands.code import code_digest
from harness.commands.inputs import DatasetProgress, Inputs
from harness.commands.resources import Resources, sync_environments
from harness.console import Console
from harness.environments.given import own_environment
from harness.environments.records import SyncedEnvironment
from harness.environments.variables import worker_environment
from harness.errors import WorkplaceError
from harness.execution.contenders import Contender
from harness.execution.planning import Choice
from harness.execution.process import BOOTSTRAP, bootstrap_in
from harness.execution.proof import PROOF_STEPS
from harness.execution.schedule import POINTS_PER_EPOCH
from harness.execution.timeouts import of_job as timeouts_of_job
from harness.spec.cells import Cell
from harness.spec.implementations import Float64, Implementation
from harness.spec.manifest import Group, Manifest, Plan
from harness.spec.recipes import oracle_optimizer
from harness.worker.wire import Job

INPUTS = "inputs"
"""Folder in a run's folder: what its workers read. It is not kept once the run has ended."""


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


def prepare_workers(
    console: Console, catalogue: Catalogue, manifest: Manifest, folder: Path, resources: Resources
) -> Prepared:
    """Everything that the workers of ``manifest`` need is in place, its inputs in ``folder``.

    Raises:
        LevelfieldError: the oracle's environment can't be made, or an input can't be written.
    """
    oracle = oracle_environment(console, catalogue.oracle)
    environments = {
        (one.record.framework, one.record.version, one.record.variant): one
        for one in resources.environments
    }
    inputs = Inputs(
        folder / INPUTS, catalogue.models, manifest, resources.datasets, DatasetProgress(console)
    )
    groups = {cell: group for group in manifest.plan.groups for cell in group.cells}
    contenders, oracles, float64 = {}, {}, {}
    for cell in manifest.cells:
        job = inputs.job(cell, manifest.plan.seed)
        timeouts = timeouts_of_job(
            job,
            _steps_of_an_answer(manifest.plan, groups[cell.id], inputs.train_examples(cell), job),
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
                job,
                implementation=cell.framework,
                folder=implementation.folder,
                shared=implementation.shared_folders,
            ),
            options=environment.options,
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


def _steps_of_an_answer(plan: Plan, group: Group, train_examples: int, job: Job) -> int:
    """The most that a worker, or the oracle, takes before it says something."""
    window = plan.lead_in_steps + max(plan.window_steps, group.window_steps or 0)
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
        options=environment.options,
    )


def oracle_environment(console: Console, oracle: Implementation) -> SyncedEnvironment:
    """Where the oracle computes: in its environment, or, where that can't be made, as we do.

    Raises:
        LevelfieldError: an interpreter was given for it and does not serve, or ours doesn't.
    """
    try:
        [made] = sync_environments(console, [Choice(oracle, None)], "cpu")
    except WorkplaceError as error:
        if oracle.pythons:
            raise
        own = own_environment(oracle)
        console.warn(
            f"{oracle.title} runs in Levelfield's own Python {own.record.python} with NumPy "
            f"{own.record.version}, as its environment can't be made: {error}"
        )
        return own
    return made


def bootstrap_of(implementation: Implementation) -> Path:
    """What starts its workers: another revision's code has its own worker."""
    return bootstrap_in(Path(implementation.tree)) if implementation.tree else BOOTSTRAP
