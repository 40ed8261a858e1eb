"""Takes from a cell, and from the oracle, what parity compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.execution.answers import proof_arrays
from harness.execution.contenders import Contender, started_worker
from harness.execution.devices import require_device
from harness.execution.process import WorkerError, WorkerProcess
from harness.spec.proof_events import Hashes
from harness.temporary import temporary_folder
from harness.worker.wire import Job, Prove, Proved, Ready, Sums, Train, Trained
from impls.definition import Model

PROOF_STEPS = 10
FEWEST_STEPS = 2
FEWEST_IN_ONE_CALL = 4
AFFORDABLE_FLOPS = 3e11
"""What the oracle computes for a proof in some seconds; large images take more, and fewer steps."""


class ProofPlan(NamedTuple):
    """The steps of a proof."""

    steps: int
    """Taken one by one."""
    window_steps: int
    """Taken in one call after them, as many as a timed window has."""
    partial: int = 0
    """Examples of the partial batch that ends an epoch; 0: none does, or it is not looked at."""


class Proof(NamedTuple):
    """What a worker computed in the first steps from the common initial weights."""

    logits: NDArray[Any]
    """(B, 10), of the initial model on the first batch."""
    weights: dict[str, NDArray[Any]]
    """After one step, running statistics with them."""
    logits_after_step: NDArray[Any]
    """(B, 10), of the model after one step, in inference mode, on the first batch again."""
    losses: tuple[float | None, ...]
    """Mean loss of each step that was taken by itself."""
    hashes: Hashes
    correct: tuple[int, ...] = ()
    """Hits of each of them."""
    window: Sums | None = None
    """Of the steps that were taken in one call."""
    end: Mapping[str, NDArray[Any]] = MappingProxyType({})
    """Weights after all steps of the plan."""
    partial: Mapping[str, NDArray[Any]] = MappingProxyType({})
    """Weights after one step on a partial batch, from the initial ones."""
    last: Mapping[str, NDArray[Any]] = MappingProxyType({})
    """Weights after the further steps of the oracle, where any were asked for."""
    losses_alone: bool = False
    """Whether that is all there is: a script shows neither logits nor weights."""


def proof_plan(
    batch_size: int, model: Model, window_steps: int, train_examples: int = 0
) -> ProofPlan:
    """The steps that prove a cell of this recipe, whose timed windows have ``window_steps``.

    Ten and a window; where images are so large that the oracle would take minutes, as many as it
    can afford, two and four at least. In an epoch that has no more steps than a lead-in and a
    window, the proof keeps to those: a timed trial would go on in the next epoch elsewhere.
    """
    affordable = int(AFFORDABLE_FLOPS // (batch_size * model.training_flops()))
    window = min(window_steps, max(FEWEST_IN_ONE_CALL, affordable - PROOF_STEPS))
    steps = min(PROOF_STEPS, max(FEWEST_STEPS, affordable - window))
    if train_examples:
        steps = min(steps, max(FEWEST_STEPS, train_examples // batch_size - window))
    return ProofPlan(steps, window, train_examples % batch_size)


def proof_job(contender: Contender) -> Job:
    """The timed trial's job, but that dropout is off: masks can't be matched."""
    setup = msgspec.structs.replace(contender.job.setup, dropout=False)
    return msgspec.structs.replace(contender.job, setup=setup, loader=None)


def take_proof(contender: Contender, plan: ProofPlan, log: Path) -> Proof:
    """The proof of one cell, from a fresh worker.

    Raises:
        WorkerError: the worker failed.
    """
    if contender.script:
        return _proof_of_script(contender, plan, log)
    with proving_worker(contender, log) as process:
        return ask_proof(process, contender.job.setup.model, prove_command(contender, plan))


@contextmanager
def proving_worker(contender: Contender, log: Path) -> Iterator[WorkerProcess]:
    """A warm worker of ``contender`` to ask for proofs; afterwards it has come to its end.

    Raises:
        WorkerError: the worker failed.
    """
    with started_worker(contender, log) as process:
        process.greet()
        ready = process.ask(proof_job(contender), Ready, "import")
        require_device(contender.cell, ready)
        yield process
        process.finish()


def prove_command(contender: Contender, plan: ProofPlan) -> Prove:
    """The question that ``plan`` amounts to, its output still open."""
    return Prove(
        batch_size=contender.job.setup.batch_size,
        steps=plan.steps,
        window_steps=plan.window_steps,
        partial=plan.partial,
        output="",
    )


def ask_proof(process: WorkerProcess, model: Model, command: Prove) -> Proof:
    """What a warm worker of ``model`` answers to ``command``, whose output is chosen here.

    Raises:
        WorkerError: the worker failed.
    """
    with temporary_folder("proof") as folder:
        output = folder / "proof.npz"
        command = msgspec.structs.replace(command, output=str(output))
        proved = process.ask(command, Proved, "proof")
        try:
            arrays = proof_arrays(
                output, _shapes(model, command, older=proved.window is None and not command.singly)
            )
        except ValueError as error:
            raise WorkerError("proof", str(error), process.log_tail()) from None

    def under(prefix: str) -> dict[str, NDArray[Any]]:
        return {
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix)
        }

    return Proof(
        logits=arrays["logits"],
        weights=under("weights/"),
        logits_after_step=arrays["logits_after_step"],
        losses=proved.losses,
        hashes=proved.hashes,
        correct=proved.correct,
        window=proved.window,
        end=under("end/"),
        partial=under("partial/"),
        last=under("last/"),
    )


def _shapes(model: Model, command: Prove, *, older: bool) -> dict[str, tuple[int, ...]]:
    """Name → shape of the arrays that answer ``command``.

    ``older``: the worker took no steps in one call; it hands no weights over after them either,
    unless it was asked to take them singly.
    """
    logits = (command.batch_size, Model.CLASSES)
    weights = model.weight_shapes()
    groups = ["weights"]
    if not older:
        groups.append("end")
    if command.partial and not older:
        groups.append("partial")
    if command.further_steps:
        groups.append("last")
    return {"logits": logits, "logits_after_step": logits} | {
        f"{group}/{name}": shape for group in groups for name, shape in weights.items()
    }


def _proof_of_script(contender: Contender, plan: ProofPlan, log: Path) -> Proof:
    """The losses of windows of one step, then of one window; with the weights and the order that it
    was given, they are what forward passes, gradients and updates amount to. A loader has an order
    of its own: it is left out, as for a worker."""
    job = proof_job(contender)
    with started_worker(contender._replace(job=job), log) as process:
        ready = process.ask(job, Ready, "import")
        require_device(contender.cell, ready)
        asked = [Train(lead_in=0, steps=1)] * plan.steps + [
            Train(lead_in=0, steps=plan.window_steps)
        ] * (plan.window_steps > 0)
        trained = [process.ask(train, Trained, "proof") for train in asked]
        report = process.finish()
    nothing = np.empty(0)
    singles, windows = trained[: plan.steps], trained[plan.steps :]
    return Proof(
        logits=nothing,
        weights={},
        logits_after_step=nothing,
        losses=tuple(
            None if one.loss_sum is None else one.loss_sum / one.trained_examples for one in singles
        ),
        hashes=Hashes(data=ready.data_hash, weights=ready.weights_hash, order=report.order_hash),
        correct=tuple(one.correct for one in singles),
        window=(
            Sums(
                loss_sum=windows[0].loss_sum,
                correct=windows[0].correct,
                examples=windows[0].trained_examples,
            )
            if windows
            else None
        ),
        losses_alone=True,
    )


def started_oracle(oracle: Contender, log: Path) -> WorkerProcess:
    """A worker of the oracle's, built and cold: not even a first step was taken.

    Raises:
        WorkerError: it failed.
    """
    process = started_worker(oracle, log)
    try:
        process.greet()
        job = msgspec.structs.replace(proof_job(oracle), warm_up_steps=None)
        process.ask(job, Ready, "import")
    except BaseException:
        process.kill()
        raise
    return process
