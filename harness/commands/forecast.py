"""What the oracle says beforehand of each cell: of its proof, and of its timed trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from harness.commands.oracle import Oracle
from harness.commands.preparation import Prepared
from harness.commands.trajectories import Trajectory
from harness.execution.contenders import Contender
from harness.execution.dropout import drops
from harness.execution.process import WorkerError
from harness.execution.proof import ProofPlan, proof_plan
from harness.spec.cells import Cell
from harness.spec.manifest import Manifest
from harness.spec.recipes import held_by_float32
from impls.definition import Model

FOLLOWED_FLOPS = 1e12
"""How far the oracle follows a timed trial: so much work, computed in some seconds, once."""


class Forecast:
    """The oracle's answers for the cells of one run, each computed once."""

    def __init__(self, manifest: Manifest, prepared: Prepared, logs: Path, folder: Path) -> None:
        """``folder``: gets what the oracle writes before it is kept for other runs."""
        self._manifest = manifest
        self._prepared = prepared
        self._oracle = Oracle(logs, folder)
        self._groups = {cell: group for group in manifest.plan.groups for cell in group.cells}

    def trajectory(
        self, cell: Cell, seed: int | None = None, *, float64: bool = False
    ) -> Trajectory:
        """What the oracle computes for the proof of ``cell``, and as far as its trials go.

        ``seed``: where it begins; without it, where the run does. ``float64``: with the constants
        that a cell gets in float64.

        Raises:
            WorkerError: the oracle failed.
        """
        seed = self._manifest.plan.seed if seed is None else seed
        plan, oracle = self.proof_plan(cell), self._prepared.oracle(cell.id, seed)
        steps = self._followed_steps(cell) if self._is_timed(cell) else 0
        if float64:
            oracle = with_setup(oracle, optimizer=held_by_float32(cell.recipe.optimizer))
        return self._asked(cell, oracle, plan, steps)

    def followed(self, cell: Cell, seed: int, *, long: bool) -> Trajectory | None:
        """What the oracle computes beside a timed trial; nothing where that can't be foretold."""
        contender = self._prepared.contenders[cell.id]
        if cell.loads or drops(model_of(contender)):
            return None
        try:
            if seed == self._manifest.plan.seed:
                return self.trajectory(cell)
            oracle = self._prepared.oracle(cell.id, seed)
            return self._asked(cell, oracle, ProofPlan(1, 0), self._first_window_steps(cell))
        except WorkerError:
            return None

    def _asked(self, cell: Cell, oracle: Contender, plan: ProofPlan, steps: int) -> Trajectory:
        further = max(0, steps - plan.steps - plan.window_steps)
        return self._oracle.trajectory(
            oracle,
            plan,
            further,
            self._prepared.inputs.data_hash(cell),
            self._prepared.oracle_code,
        )

    def proof_plan(self, cell: Cell) -> ProofPlan:
        """The steps that prove ``cell``."""
        return proof_plan(
            cell.recipe.batch_size,
            model_of(self._prepared.contenders[cell.id]),
            self._window_steps(cell),
            self._prepared.inputs.train_examples(cell),
        )

    def _window_steps(self, cell: Cell) -> int:
        plan, group = self._manifest.plan, self._groups[cell.id]
        if cell.loads:
            return plan.window_steps
        return plan.window_steps if group.window_steps is None else group.window_steps

    def _is_timed(self, cell: Cell) -> bool:
        plan = self._manifest.plan
        return not cell.loads and (plan.long_trials or any(plan.looks))

    def _followed_steps(self, cell: Cell) -> int:
        """Steps of a short trial, so far as they lie in the first epoch and are affordable."""
        plan, group = self._manifest.plan, self._groups[cell.id]
        per_round = plan.lead_in_steps + self._window_steps(cell)
        rounds = plan.rounds if group.rounds is None else group.rounds
        model = model_of(self._prepared.contenders[cell.id])
        recipe = cell.recipe
        affordable = FOLLOWED_FLOPS / (recipe.batch_size * model.training_flops())
        in_epoch = self._prepared.inputs.train_examples(cell) // recipe.batch_size
        return per_round * int(min(rounds, affordable // per_round, in_epoch // per_round))

    def _first_window_steps(self, cell: Cell) -> int:
        """Steps of the first window of a long trial."""
        in_epoch = self._prepared.inputs.train_examples(cell) // cell.recipe.batch_size
        return min(self._followed_steps(cell), -(-in_epoch // 5))


def with_setup(contender: Contender, **changes: Any) -> Contender:
    """``contender``, whose worker gets ``changes`` in its setup."""
    setup = msgspec.structs.replace(contender.job.setup, **changes)
    return contender._replace(job=msgspec.structs.replace(contender.job, setup=setup))


def model_of(contender: Contender) -> Model:
    """The network that it trains."""
    return contender.job.setup.model
