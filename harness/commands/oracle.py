"""What the oracle computes for a cell, and what rounding does to it: computed once, and kept."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.analysis.deviations import (
    ROUNDINGS,
    SHAKEN_TIMES,
    WINDOW_END,
    Observation,
    Quantity,
    Sums,
    deviations,
    rounding_envelope,
)
from harness.commands.trajectories import Trajectory, keep_trajectory, read_trajectory
from harness.datasets.arrays import digest_of_weights
from harness.execution.contenders import Contender
from harness.execution.process import WorkerError
from harness.execution.proof import (
    PROOF_STEPS,
    Proof,
    ProofPlan,
    ask_proof,
    proof_job,
    prove_command,
    started_oracle,
)
from harness.paths import user_cache
from harness.worker.wire import Prove
from impls.adapter import Adam, Setup, Sgd
from impls.definition import Model

T = TypeVar("T")


class Versions(NamedTuple, Generic[T]):
    """What stands for the oracle where it rounds otherwise; see ``rounding_envelope``."""

    rounded: Sequence[T] = ()
    """As far off as rounding may be."""
    shaken: Sequence[T] = ()
    """Further."""


FLOAT32_MODES = Versions(("float32-one-by-one", "float32"), ("shaken-1", "shaken-2"))
"""Modes of the oracle that show what rounding in float32 does to it."""
FLOAT64_MODES = Versions(("one-by-one",), ("shaken-float64",))
"""Likewise in float64."""
KEPT_BYTES = 64 * 2**20
"""Larger answers are kept for one run alone: they are weights by tens of millions."""


class Oracle:
    """Answers what a cell has to compute; what was once computed is found again on disk."""

    def __init__(self, logs: Path, own: Path, cache: Path | None = None) -> None:
        """``logs``: folder for what its workers print. ``own``: where large answers are kept as
        long as a run needs them. ``cache``: where the others are kept for later runs too."""
        self._logs = logs
        self._own = own
        self._cache = user_cache() / "oracle" if cache is None else cache
        self._numbers = itertools.count()
        self._known: dict[str, Trajectory] = {}

    def trajectory(
        self,
        oracle: Contender,
        plan: ProofPlan,
        further_steps: int,
        data_hash: str,
        code: str,
    ) -> Trajectory:
        """What ``oracle`` computes in the steps of ``plan`` and ``further_steps`` more.

        Args:
            oracle: How to start its worker; its job is what is computed.
            plan: The steps of a proof.
            further_steps: Of a trial that goes on where the proof ends.
            data_hash: The dataset's, as ``Hashes.data``.
            code: Digest of the oracle's own code; with the job, all that its answer depends on.

        Raises:
            WorkerError: one of its workers failed.
        """
        setup = proof_job(oracle).setup
        key = _key(oracle, setup, plan, further_steps, data_hash, code)
        if key not in self._known:
            # Those of large models are hundreds of megabytes, and cells come recipe by recipe.
            if len(self._known) >= 4:
                self._known.clear()
            places = [folder / f"{key}.npz" for folder in (self._cache, self._own)]
            kept = next(filter(None, map(read_trajectory, places)), None)
            if kept is None:
                kept = self._computed(oracle, plan, further_steps)
                keep_trajectory(places[kept.size_bytes > KEPT_BYTES], kept)
            self._known[key] = kept
        return self._known[key]

    def _computed(self, oracle: Contender, plan: ProofPlan, further_steps: int) -> Trajectory:
        command = msgspec.structs.replace(
            prove_command(oracle, plan), singly=True, further_steps=further_steps
        )
        model = oracle.job.setup.model
        how = rounded_modes(model, plan)
        exact = oracle.job.setup.mode
        modes = [exact, *itertools.chain(*how.float32, *how.float64)]
        with ThreadPoolExecutor(max_workers=max(1, min(len(modes), os.cpu_count() or 1))) as pool:
            answers = pool.map(lambda mode: self._proof(oracle, mode, command), modes)
            proofs = dict(zip(modes, answers, strict=True))
        float32, float64 = (
            Versions(*([proofs[mode] for mode in same] for same in precision)) for precision in how
        )
        return trajectory_of(proofs[exact], float32, float64, plan, oracle.job.setup.batch_size)

    def _proof(self, oracle: Contender, mode: str, command: Prove) -> Proof:
        """What the oracle's ``mode`` computes, from a worker of its own."""
        setup = msgspec.structs.replace(oracle.job.setup, mode=mode)
        oracle = oracle._replace(job=msgspec.structs.replace(oracle.job, setup=setup))
        log = self._logs / f"oracle-{next(self._numbers)}.log"
        with started_oracle(oracle, log) as process:
            proof = ask_proof(process, setup.model, command)
            process.finish()
        return proof


class RoundedModes(NamedTuple):
    """Modes of the oracle that show what rounding does to it; see ``rounding_envelope``."""

    float32: Versions[str]
    float64: Versions[str]
    """None, of models of which float32 proves enough."""


def rounded_modes(model: Model, plan: ProofPlan) -> RoundedModes:
    """Those that ``model`` is asked in for the proof of ``plan``."""
    dear = plan.steps + plan.window_steps < PROOF_STEPS
    normalized = model.weight_shapes().keys() != model.parameter_shapes().keys()
    # What amplifies rounding: depth, and dividing by what may be small.
    float64: Versions[str] = FLOAT64_MODES if dear or normalized else Versions()
    if dear:
        return RoundedModes(Versions(FLOAT32_MODES.rounded[:1], FLOAT32_MODES.shaken), float64)
    return RoundedModes(FLOAT32_MODES, float64)


def trajectory_of(
    exact: Proof,
    float32: Versions[Proof],
    float64: Versions[Proof],
    plan: ProofPlan,
    batch_size: int,
) -> Trajectory:
    """What the oracle's proofs say together, each taken step by step.

    Args:
        exact: The oracle's own.
        float32: Those that show what rounding in float32 does to it.
        float64: Likewise in float64.
        plan: Their steps.
        batch_size: Examples of each step.

    Raises:
        WorkerError: the oracle itself came upon something that is not a finite number.
    """
    for proof in (exact, *itertools.chain(*float32, *float64)):
        if any(loss is None for loss in proof.losses):
            raise WorkerError("proof", "the oracle's own loss is not a finite number")
    expected = observation_of_steps(exact, plan, batch_size)

    def envelope(versions: Versions[Proof], roundings: float) -> dict[Quantity, float]:
        seen = ([observation_of_steps(one, plan, batch_size) for one in same] for same in versions)
        return rounding_envelope(expected, *seen, roundings=roundings)

    both = [
        *((proof, 1.0) for proof in float32.rounded),
        *((proof, SHAKEN_TIMES) for proof in float32.shaken),
    ]
    last = exact.last or exact.end
    empty = Observation(np.empty(0), {}, np.empty(0), ())
    of_last = [
        (deviations(empty._replace(end=proof.last or proof.end), empty._replace(end=last)), times)
        for proof, times in both
    ]
    return Trajectory(
        observation=expected,
        envelope=envelope(float32, ROUNDINGS),
        finer_envelope=envelope(float64, 0.0),
        losses=np.array(exact.losses, np.float64),
        correct=np.array(exact.correct, np.int64),
        rounded_losses=_moved(exact.losses, [(proof.losses, times) for proof, times in both]),
        rounded_correct=_moved(exact.correct, [(proof.correct, times) for proof, times in both]),
        last=last,
        last_envelope={
            name: max(
                (
                    (one[Quantity("weights", WINDOW_END, name)] or 0.0) / times
                    for one, times in of_last
                ),
                default=0.0,
            )
            for name in last
        },
    )


def _moved(
    exact: Sequence[float | None], versions: Sequence[tuple[Sequence[float | None], float]]
) -> NDArray[np.float64]:
    """(V, N): each version's values; of one that is off several times too far, brought back."""
    start = np.array(exact, np.float64)
    moved = [start + (np.array(one, np.float64) - start) / times for one, times in versions]
    return np.array(moved, np.float64).reshape(len(versions), len(start))


def observation_of_steps(proof: Proof, plan: ProofPlan, batch_size: int) -> Observation:
    """What parity compares of a proof whose window was taken step by step."""
    inside = slice(plan.steps, plan.steps + plan.window_steps)
    losses = [loss or 0.0 for loss in proof.losses[inside]]
    window = Sums(
        sum(losses) * batch_size, sum(proof.correct[inside]), plan.window_steps * batch_size
    )
    return Observation(
        logits=proof.logits,
        weights=proof.weights,
        logits_after_step=proof.logits_after_step,
        losses=proof.losses[: plan.steps],
        window=window if plan.window_steps else None,
        end=proof.end,
        partial=proof.partial,
    )


def formulas_that_matter(setup: Setup) -> tuple[str | None, ...]:
    """The formulas that change what the oracle computes for this model and optimizer."""
    optimizer = setup.optimizer
    momentum = isinstance(optimizer, Sgd) and optimizer.momentum != 0
    tracked = setup.model.weight_shapes().keys() - setup.model.parameter_shapes().keys()
    return (
        setup.adam_formula if isinstance(optimizer, Adam) else None,
        setup.momentum_formula if momentum else None,
        setup.variance_formula if tracked else None,
    )


def _key(
    oracle: Contender,
    setup: Setup,
    plan: ProofPlan,
    further_steps: int,
    data_hash: str,
    code: str,
) -> str:
    """A digest of all that the oracle's answer depends on."""
    with np.load(oracle.job.weights) as archive:
        weights = digest_of_weights({name: archive[name] for name in archive.files})
    order = np.load(oracle.job.order, mmap_mode="r")
    steps = plan.steps + plan.window_steps + further_steps
    taken = np.asarray(order[:2, : steps * setup.batch_size]).astype("<i8").tobytes()
    facts = (
        setup.model,
        setup.optimizer,
        setup.batch_size,
        formulas_that_matter(setup),
        tuple(plan),
        rounded_modes(setup.model, plan),
        SHAKEN_TIMES,
        further_steps,
        data_hash,
        weights,
        hashlib.sha256(taken).hexdigest(),
        oracle.cell.version,
        code,
    )
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:32]
