"""Holds cells against the oracle before they are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from harness.analysis.deviations import (
    FACTOR,
    ROUNDINGS,
    Exactness,
    Observation,
    Sums,
    granted_at_most,
    held,
    is_blunt,
    relative_deviation,
    relative_deviation_of_loss,
)
from harness.analysis.dropout import settled
from harness.commands.forecast import Forecast, model_of, with_setup
from harness.commands.kept import AnyProof, Kept
from harness.commands.preparation import Prepared
from harness.commands.trajectories import Trajectory
from harness.execution.contenders import Contender
from harness.execution.dropout import dropout_check, drops, oracle_draws
from harness.execution.loader_check import STEPS, look_at_loader
from harness.execution.process import BOOTSTRAP, WorkerError, WorkerProcess
from harness.execution.proof import (
    Proof,
    ProofPlan,
    ask_proof,
    prove_command,
    proving_worker,
    take_proof,
)
from harness.spec.cells import Cell
from harness.spec.events import AnyEvent, Failure
from harness.spec.implementations import Float64
from harness.spec.manifest import Manifest
from harness.spec.proof_events import Deviation, DropoutCheck, LoaderCheck, Parity
from harness.spec.recipes import held_by_float32
from harness.worker.wire import Drawn


class Verification:
    """All that is proved in one run."""

    def __init__(
        self,
        manifest: Manifest,
        prepared: Prepared,
        forecast: Forecast,
        logs: Path,
        record: Callable[[AnyEvent], None],
        kept: Kept,
    ) -> None:
        """``logs``: folder for what workers print."""
        self._kept = kept
        self._manifest = manifest
        self._prepared = prepared
        self._logs = logs
        self._record = record
        self._forecast = forecast
        self._draws: dict[str, Drawn] = {}
        """Recipe → the oracle's losses under many dropout masks, of the latest recipe."""
        self._numbers = {cell.id: number for number, cell in enumerate(manifest.cells)}

    def verify(self, cell: Cell) -> None:
        """``cell`` was held against the oracle in a worker of its own, or its failure is recorded.

        Where float32 is too blunt to prove much, the same code is held in float64 as well. What an
        earlier run has proved with the same code, packages, data and machine is taken over.
        """
        plan = self._forecast.proof_plan(cell)
        kept = self._kept.proof(cell, plan, time.time())
        for event in kept:
            self._record(event)
        if kept:
            return
        made = []
        try:
            for event in self._proved(cell, plan):
                made.append(event)
                self._record(event)
            self._kept.keep_proof(cell, plan, made)
        except WorkerError as error:
            self._record(
                Failure(
                    at=time.time(),
                    cell=cell.id,
                    phase=f"verification: {error.phase}",
                    reason=error.reason,
                    detail=error.detail,
                )
            )

    def _proved(self, cell: Cell, plan: ProofPlan) -> Iterator[AnyProof]:
        """All that can be proved of ``cell`` before it is timed.

        Raises:
            WorkerError: a worker, or the oracle, failed.
        """
        contender = self._prepared.contenders[cell.id]
        expected = self._forecast.trajectory(cell)
        proof = take_proof(contender, plan, self._log(cell, "proof"))
        yield self._parity(cell, proof, expected, plan)
        float64 = self._prepared.float64[cell.id]
        if (
            expected.finer_envelope
            and is_blunt(expected.envelope)
            and float64 is not None
            and cell.mode in float64.modes
        ):
            proof = take_proof(_in_float64(contender), plan, self._log(cell, "proof-float64"))
            expected = self._forecast.trajectory(cell, float64=True)
            exactness = _exactness(float64)
            yield self._parity(cell, proof, expected, plan, exactness=exactness)
        if cell.loads and not contender.script:
            yield self._loader(contender, expected)
        if drops(model_of(contender)) and not contender.script:
            yield self._dropout(contender)

    def over_seeds(self, cell: Cell, seeds: Sequence[int]) -> Iterator[tuple[int, Parity]]:
        """A proof of ``cell`` from each of ``seeds``, all from one worker; none is recorded.

        Those that float32 is too blunt for are followed by as many from a worker in float64.

        Raises:
            WorkerError: a worker, or the oracle, failed.
        """
        contender, float64 = self._prepared.contenders[cell.id], self._prepared.float64[cell.id]
        yield from self._proofs(contender, seeds, "proofs")
        if float64 is None or cell.mode not in float64.modes:
            return
        known = {seed: self._forecast.trajectory(cell, seed) for seed in seeds}
        blunt = [s for s, one in known.items() if one.finer_envelope and is_blunt(one.envelope)]
        if blunt:
            yield from self._proofs(
                _in_float64(contender), blunt, "proofs-float64", _exactness(float64)
            )

    def _proofs(
        self,
        contender: Contender,
        seeds: Sequence[int],
        what: str,
        exactness: Exactness | None = None,
    ) -> Iterator[tuple[int, Parity]]:
        cell = contender.cell
        plan = self._forecast.proof_plan(cell)
        with proving_worker(contender, self._log(cell, what)) as process:
            for seed in seeds:
                start = self._prepared.contender(cell.id, seed).job
                command = msgspec.structs.replace(
                    prove_command(contender, plan), weights=start.weights, order=start.order
                )
                proof = ask_proof(process, model_of(contender), command)
                expected = self._forecast.trajectory(cell, seed, float64=exactness is not None)
                yield (
                    seed,
                    self._parity(cell, proof, expected, plan, exactness=exactness, seed=seed),
                )

    def prove(self, contender: Contender, process: WorkerProcess, trial: int) -> None:
        """The warm worker of ``trial`` was held against the oracle before it is timed.

        Raises:
            WorkerError: it failed.
        """
        cell = contender.cell
        if contender.script or cell.loads or drops(model_of(contender)):
            return  # proved by workers of their own: of scripts, of batches staged, without dropout
        if contender.bootstrap != BOOTSTRAP:
            return  # a worker of another revision would go on from where its proof ended
        plan = self._forecast.proof_plan(cell)
        proof = ask_proof(process, model_of(contender), prove_command(contender, plan))
        self._record(self._parity(cell, proof, self._forecast.trajectory(cell), plan, trial=trial))

    def _parity(
        self,
        cell: Cell,
        proof: Proof,
        expected: Trajectory,
        plan: ProofPlan,
        *,
        trial: int | None = None,
        exactness: Exactness | None = None,
        seed: int | None = None,
    ) -> Parity:
        """What is recorded of ``proof``, held against what was ``expected``.

        ``seed``: of both; without it, the run's own.
        """
        oracle, seen = expected.observation, _observed(proof)
        contender = self._prepared.contenders[cell.id]
        if seen.window is None and contender.bootstrap != BOOTSTRAP:
            # A worker of another revision takes no steps in one call.
            oracle = oracle._replace(window=None, end={}, partial={})
            plan = ProofPlan(plan.steps, 0)
        if proof.losses_alone:
            oracle, plan = oracle._replace(end={}, partial={}), plan._replace(partial=0)
        setup = self._prepared.oracles[cell.id].job.setup
        envelope = expected.envelope if exactness is None else expected.finer_envelope
        shown = ("loss", "window_loss", "window_correct", "window_examples")
        return Parity(
            at=time.time(),
            cell=cell.id,
            adam_formula=setup.adam_formula,
            momentum_formula=setup.momentum_formula,
            variance_formula=setup.variance_formula,
            batch_size=cell.recipe.batch_size,
            deviations=tuple(
                each
                for each in held(seen, oracle, envelope, plan.window_steps, exactness)
                if each.check in shown or not proof.losses_alone
            ),
            losses=proof.losses,
            oracle_losses=tuple(oracle.losses),
            hashes=proof.hashes,
            expected_hashes=self._prepared.inputs.expected_hashes(
                cell, self._manifest.plan.seed if seed is None else seed, plan
            ),
            losses_alone=proof.losses_alone,
            steps=plan.steps,
            window_steps=plan.window_steps,
            partial=plan.partial,
            trial=trial,
            precision="float32" if exactness is None else "float64",
        )

    def _loader(self, contender: Contender, expected: Trajectory) -> LoaderCheck:
        """What the cell's own loader brings, and what training on it comes to.

        Raises:
            WorkerError: the worker failed.
        """
        cell = contender.cell
        seen = look_at_loader(contender, self._log(cell, "loader"))
        loaded, examples = seen.loaded, self._prepared.inputs.published_examples(cell)
        by_loader, resident = loaded.by_loader, loaded.resident
        # The same kernels on the same values: their own rounding, in some steps.
        granted = granted_at_most(FACTOR * max(ROUNDINGS, *expected.envelope.values()))
        checks = {
            ("loss", ""): relative_deviation_of_loss(by_loader.loss_sum, resident.loss_sum),
            ("hits", ""): abs(by_loader.correct - resident.correct) / max(1, resident.examples),
            **{
                ("weights", name): relative_deviation(seen.by_loader[name], array)
                for name, array in seen.resident.items()
            },
        }
        return LoaderCheck(
            at=time.time(),
            cell=cell.id,
            examples=loaded.examples,
            expected_examples=examples.digest.examples,
            digest=loaded.digest,
            expected_digest=f"{examples.digest.total:064x}",
            labels=loaded.labels,
            expected_labels=examples.labels,
            in_file_order=loaded.in_file_order,
            same_order_again=loaded.same_order_again,
            deviations=tuple(
                Deviation(check=check, step=STEPS, tensor=name, value=value, tolerance=granted)
                for (check, name), value in checks.items()
            ),
        )

    def _dropout(self, contender: Contender) -> DropoutCheck:
        """What masks do to the cell's losses, beside what they do to the oracle's.

        Raises:
            WorkerError: a worker failed.
        """
        cell = contender.cell
        if cell.recipe.label not in self._draws:
            oracle = self._prepared.oracles[cell.id]
            self._draws = {cell.recipe.label: oracle_draws(oracle, self._log(cell, "draws"))}
        return dropout_check(
            contender, self._draws[cell.recipe.label], self._log(cell, "dropout"), settled
        )

    def _log(self, cell: Cell, what: str) -> Path:
        return self._logs / f"{what}-{self._numbers[cell.id]:03d}.log"


def _observed(proof: Proof) -> Observation:
    """What parity compares of a proof."""
    window = proof.window
    return Observation(
        logits=proof.logits,
        weights=proof.weights,
        logits_after_step=proof.logits_after_step,
        losses=proof.losses,
        window=(None if window is None else Sums(window.loss_sum, window.correct, window.examples)),
        end=proof.end,
        partial=proof.partial,
    )


def _in_float64(contender: Contender) -> Contender:
    """The same model code, computed in float64."""
    optimizer = held_by_float32(contender.cell.recipe.optimizer)
    return with_setup(contender, optimizer=optimizer, precision="float64")


def _exactness(float64: Float64) -> Exactness:
    return Exactness(float64.parameters, float64.statistics)
