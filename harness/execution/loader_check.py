"""Looks at what a cell's own data loader brings."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.execution.answers import proof_arrays
from harness.execution.contenders import Contender, started_worker
from harness.execution.devices import require_device
from harness.execution.process import WorkerError
from harness.temporary import temporary_folder
from harness.worker.wire import Load, Loaded, Ready

STEPS = 3
"""Batches that are trained on in both ways."""


class SeenLoader(NamedTuple):
    """What a worker said of its loader."""

    loaded: Loaded
    by_loader: dict[str, NDArray[np.floating]]
    """Weights after the first batches, as the loader brought them."""
    resident: dict[str, NDArray[np.floating]]
    """Weights after the same batches, staged on the device."""


def look_at_loader(contender: Contender, log: Path) -> SeenLoader:
    """An epoch of the cell's loader was seen in a fresh worker.

    Raises:
        WorkerError: the worker failed.
    """
    setup = msgspec.structs.replace(contender.job.setup, dropout=False)
    job = msgspec.structs.replace(contender.job, setup=setup)
    shapes = job.setup.model.weight_shapes()
    with (
        temporary_folder("loader") as folder,
        started_worker(contender._replace(job=job), log) as process,
    ):
        process.greet()
        require_device(contender.cell, process.ask(job, Ready, "import"))
        output = folder / "weights.npz"
        command = Load(steps=STEPS, output=str(output))
        loaded = process.ask(command, Loaded, "loader")
        try:
            arrays = proof_arrays(
                output,
                {f"{way}/{name}": shapes[name] for way in WAYS for name in shapes},
            )
        except ValueError as error:
            raise WorkerError("loader", str(error), process.log_tail()) from None
        process.finish()
    by_loader, resident = ({name: arrays[f"{way}/{name}"] for name in shapes} for way in WAYS)
    return SeenLoader(loaded, by_loader, resident)


WAYS = ("loader", "resident")
"""In which the same batches are trained on."""
