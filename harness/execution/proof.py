"""Takes from a cell, and from the oracle, what parity compares."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.execution.block import Contender
from harness.execution.process import Timeouts, WorkerProcess
from harness.spec.events import Hashes
from harness.worker.wire import Prove, Proved, Ready

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
    with (
        TemporaryDirectory(prefix="levelfield-proof-") as folder,
        WorkerProcess(contender.python, contender.variables, log, timeouts=timeouts) as process,
    ):
        output = Path(folder) / "proof.npz"
        process.greet()
        process.ask(job, Ready, "import", timeouts.ready)
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
