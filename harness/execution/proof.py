"""Takes from a cell, and from the oracle, what parity compares."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.execution.block import Contender, started_worker
from harness.execution.devices import require_device
from harness.execution.process import Timeouts
from harness.spec.events import Hashes
from harness.temporary import temporary_folder
from harness.worker.wire import Prove, Proved, Ready, Train, Trained

PROOF_STEPS = 10


class Proof(NamedTuple):
    """What a worker computed in the first steps from the common initial weights."""

    logits: NDArray[Any]
    """(B, 10), of the initial model on the first batch."""
    weights: dict[str, NDArray[Any]]
    """After one step, running statistics with them."""
    logits_after_step: NDArray[Any]
    """(B, 10), of the model after one step, in inference mode, on the first batch again."""
    losses: tuple[float | None, ...]
    """Mean loss of steps 1 to n."""
    hashes: Hashes
    losses_alone: bool = False
    """Whether that is all there is: a script shows neither logits nor weights."""


def take_proof(contender: Contender, log: Path, timeouts: Timeouts | None = None) -> Proof:
    """The proof of one cell, from a fresh worker: dropout off, batches of the harness's choice.

    Raises:
        WorkerError: the worker failed.
    """
    timeouts = timeouts or Timeouts()
    batch_size = contender.cell.recipe.proof_batch_size
    setup = msgspec.structs.replace(contender.job.setup, batch_size=batch_size, dropout=False)
    # One step of warm-up: whether load_weights makes everything new is part of what is proven.
    job = msgspec.structs.replace(contender.job, setup=setup, warm_up_steps=0, loader=None)
    contender = contender._replace(job=job)
    if contender.script:
        return _proof_of_script(contender, log, timeouts)
    with (
        temporary_folder("proof") as folder,
        started_worker(contender, log, timeouts) as process,
    ):
        output = Path(folder) / "proof.npz"
        process.greet()
        require_device(contender.cell, process.ask(job, Ready, "import", timeouts.ready))
        command = Prove(batch_size=batch_size, steps=PROOF_STEPS, output=str(output))
        proved = process.ask(command, Proved, "proof", timeouts.answer)
        process.finish()
        with np.load(output) as archive:
            weights = {
                name.removeprefix("weights/"): archive[name]
                for name in archive.files
                if name.startswith("weights/")
            }
            return Proof(
                archive["logits"],
                weights,
                archive["logits_after_step"],
                proved.losses,
                proved.hashes,
            )


def _proof_of_script(contender: Contender, log: Path, timeouts: Timeouts) -> Proof:
    """The losses of windows of one step; with the weights and the order that it was given, they are
    what forward passes, gradients and updates amount to."""
    with started_worker(contender, log, timeouts) as process:
        ready = process.ask(contender.job, Ready, "import", timeouts.ready)
        require_device(contender.cell, ready)
        step = Train(lead_in=0, steps=1)
        trained = [process.ask(step, Trained, "proof", timeouts.answer) for _ in range(PROOF_STEPS)]
        report = process.finish()
    nothing = np.empty(0)
    return Proof(
        logits=nothing,
        weights={},
        logits_after_step=nothing,
        losses=tuple(
            None if each.loss_sum is None else each.loss_sum / each.trained_examples
            for each in trained
        ),
        hashes=Hashes(data=ready.data_hash, weights=ready.weights_hash, order=report.order_hash),
        losses_alone=True,
    )
