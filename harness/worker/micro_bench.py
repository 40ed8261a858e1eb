"""What the micro-benchmarks of one process measure: a framework's adapters, built one per mode."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.arrays import Arrays, load_arrays
from harness.datasets.weights import initial_weights
from harness.worker.bootstrap import adopt_implementation
from harness.worker.loop import batches
from harness.worker.micro_job import MicroJob
from harness.worker.session import asked
from impls.adapter import Adapter, Setup
from impls.pieces import Pieces


class NoPiecesError(Exception):
    """An implementation does not offer the parts of its step; the text says why."""


class Bench:
    """One implementation in this process; building it is measured on the way.

    ``import_seconds`` covers the adapter's module and all that it loads, NumPy excepted: that is
    loaded before. The first mode's seconds include what a process does only once.
    """

    def __init__(self, job: MicroJob) -> None:
        self.job = job
        self.data: Arrays = load_arrays(Path(job.data))
        self.largest = max(job.batch_sizes)
        self.build_seconds: dict[str, float] = {}
        self.first_step_seconds: dict[str, float] = {}
        self.without_pieces: dict[str, str] = {}
        self._weights = initial_weights(job.model, job.init, job.seed)
        self._adapters: dict[str, Adapter] = {}
        self._pieces: dict[str, Pieces] = {}
        adopt_implementation(job.folder, job.shared)
        began = time.perf_counter()
        self._module = importlib.import_module("implementation.adapter")
        self.import_seconds = time.perf_counter() - began
        for mode in job.modes:
            self._build(mode)

    def facts(self) -> dict[str, Any]:
        """What is to be known beside the benchmarks, for their JSON."""
        return {
            "framework": self.job.implementation,
            "version": version(self.job.package),
            "import_seconds": self.import_seconds,
            "build_seconds": self.build_seconds,
            "first_step_seconds": self.first_step_seconds,
            "without_pieces": self.without_pieces,
        }

    def clock(self) -> float:
        """``time.perf_counter()`` once all work issued so far is finished.

        Read at both ends of a round of calls: what is asynchronous is waited for once a round, not
        once a call, as in training.
        """
        self._adapters[self.job.modes[0]].synchronize()
        return time.perf_counter()

    def seconds(self, call: Callable[[], object]) -> float:
        """What one ``call`` takes by the ``clock``."""
        began = self.clock()
        call()
        return self.clock() - began

    def adapter(self, mode: str = "") -> Adapter:
        """The adapter of ``mode``, of the first one if none is named, with its initial weights."""
        adapter = self._adapters[mode or self.job.modes[0]]
        adapter.load_weights(self._weights)
        adapter.synchronize()
        return adapter

    def pieces(self, mode: str = "") -> Pieces:
        """The parts of ``adapter(mode)``'s step.

        Raises:
            NoPiecesError: the implementation offers none, or none in this mode.
        """
        mode = mode or self.job.modes[0]
        adapter = self.adapter(mode)
        if mode not in self._pieces and mode not in self.without_pieces:
            try:
                self._pieces[mode] = self._created(adapter)
            except NoPiecesError as error:
                self.without_pieces[mode] = str(error)
        if mode in self.without_pieces:
            raise NoPiecesError(self.without_pieces[mode])
        return self._pieces[mode]

    def examples(self, size: int, steps: int = 1) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(steps, size, C, H, W) images and (steps, size) labels of the training set."""
        indices = np.arange(steps * size).reshape(steps, size) % len(self.data.train_labels)
        return batches(self.data.train_images, self.data.train_labels, indices)

    def staged(self, mode: str, size: int) -> Any:
        """One batch of ``size`` examples on the device."""
        adapter = self._adapters[mode]
        staged = adapter.stage(*self.examples(size))
        adapter.synchronize()
        return staged

    def _build(self, mode: str) -> None:
        """The adapter of ``mode`` stands and has taken its first step, compiled where it is.

        Raises:
            RuntimeError: it computes elsewhere than it should.
        """
        job = self.job
        # A worker sees the chosen GPU alone, whatever its number outside.
        device = "cpu" if job.device == "cpu" else "gpu:0"
        began = time.perf_counter()
        adapter: Adapter = self._module.create(
            Setup(
                model=job.model,
                optimizer=job.optimizer,
                batch_size=self.largest,
                mode=mode,
                device=device,
                threads=job.threads,
                seed=job.seed,
            )
        )
        adapter.load_weights(self._weights)
        adapter.synchronize()
        self.build_seconds[mode] = time.perf_counter() - began
        self._adapters[mode] = adapter
        batch = self.staged(mode, self.largest)
        began = time.perf_counter()
        adapter.train(batch)
        adapter.synchronize()
        self.first_step_seconds[mode] = time.perf_counter() - began
        adapter.take_metrics()
        weights, results = adapter.device(), asked(adapter, "result_device")
        # An older adapter may be silent about results, as long as there is no GPU to be seen.
        silent = results is None and device == "cpu"
        if weights != device or not (results == device or silent):
            raise RuntimeError(
                f"{job.implementation}, {mode}: weights on {weights} and results on "
                f"{results or 'an unknown device'}, expected both on {device}"
            )

    def _created(self, adapter: Adapter) -> Pieces:
        if not (Path(self.job.folder) / "pieces.py").is_file():
            raise NoPiecesError(f"{self.job.implementation} has no pieces.py")
        module = importlib.import_module("implementation.pieces")
        try:
            pieces: Pieces = module.create(adapter)
        except ValueError as error:
            raise NoPiecesError(str(error)) from error
        return pieces
