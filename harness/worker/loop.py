"""THE training loop: the same for every framework, every mode and every kind of trial."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.arrays import Arrays, rows_at
from harness.worker.readings import cpu_frequency_mhz, read_counters
from harness.worker.wire import Evaluated, Train, Trained
from impls.adapter import LoadingAdapter, Metrics

EVALUATION_PIXELS = 1000 * 28 * 28
"""Of a batch of an evaluation: a thousand small images, as what a network makes of them in its
first layers takes as much memory as there are pixels."""


def batches(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], indices: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The examples at ``indices`` (S, B) as canonical (S, B, 1, H, W) float32 and (S, B) int64."""
    pixels = np.divide(rows_at(images, indices), np.float32(255), dtype=np.float32)
    return pixels[:, :, np.newaxis], labels[indices].astype(np.int64)


class TrainingLoop:
    """Walks one adapter through the batch order; counts steps; hashes what it trained on."""

    def __init__(
        self,
        adapter: LoadingAdapter,
        data: Arrays,
        order: NDArray[np.int32],
        batch_size: int,
        *,
        loading: bool = False,
    ) -> None:
        self.adapter = adapter
        self.steps = 0
        self._data = data
        self._order = order
        self._batch_size = batch_size
        self._epoch = 0
        self._taken = 0
        self._order_hash = hashlib.sha256()
        self._loading = loading

    @property
    def order_hash(self) -> str:
        """SHA-256 of the indices trained on so far, int64 little-endian; empty with a loader."""
        return "" if self._loading else self._order_hash.hexdigest()

    def window(self, command: Train) -> Trained:
        """One window has been trained, with its lead-in before and its partial batch after it."""
        if self._loading:
            return self._loader_window(command)
        first_step = self.steps
        began = time.perf_counter()
        needed = (command.lead_in + command.steps) * self._batch_size
        if self._taken + needed > self._order.shape[1]:
            self._next_epoch()
        lead_in = self._stage(command.lead_in) if command.lead_in else None
        timed = self._stage(command.steps)
        partial_size = (self._order.shape[1] - self._taken) if command.partial else 0
        partial = self._stage(1, partial_size) if 0 < partial_size < self._batch_size else None
        self.adapter.synchronize()
        stage_seconds = time.perf_counter() - began

        lead_in_seconds = self._seconds(lead_in)
        window = self._timed(lambda: self.adapter.train(timed))
        partial_seconds = self._seconds(partial)
        metrics = self.adapter.take_metrics()
        return Trained(
            first_step=first_step,
            steps=command.steps,
            examples=command.steps * self._batch_size,
            lead_in_steps=command.lead_in,
            lead_in_seconds=lead_in_seconds,
            partial_steps=int(partial is not None),
            partial_seconds=partial_seconds,
            stage_seconds=stage_seconds,
            loss_sum=finite(metrics.loss_sum),
            correct=metrics.correct,
            trained_examples=metrics.examples,
            **window,
        )

    def _loader_window(self, command: Train) -> Trained:
        """Likewise on batches that the framework's own loader brings while the clock runs."""
        first_step = self.steps
        self.adapter.synchronize()
        began = time.perf_counter()
        self.adapter.train_from_loader(command.lead_in)
        self.adapter.synchronize()
        lead_in_seconds = time.perf_counter() - began
        before = self.adapter.take_metrics()
        window = self._timed(lambda: self.adapter.train_from_loader(command.steps))
        metrics = self.adapter.take_metrics()
        self.steps += command.lead_in + command.steps
        return Trained(
            first_step=first_step,
            steps=command.steps,
            # As counted: a loader's window may hold the partial batch of an epoch.
            examples=metrics.examples,
            lead_in_steps=command.lead_in,
            lead_in_seconds=lead_in_seconds,
            partial_steps=0,
            partial_seconds=0.0,
            stage_seconds=0.0,
            loss_sum=finite(before.loss_sum + metrics.loss_sum),
            correct=before.correct + metrics.correct,
            trained_examples=before.examples + metrics.examples,
            **window,
        )

    def _timed(self, train: Callable[[], None]) -> dict[str, Any]:
        """What ``train`` took, by every counter; the fields are those of ``Trained``."""
        before = read_counters()
        train()
        self.adapter.synchronize()
        # The clock first: reading the other counters is not part of the window.
        wall_seconds = time.perf_counter() - before.wall_seconds
        after = read_counters()
        return {
            "wall_seconds": wall_seconds,
            "cpu_seconds": after.cpu_seconds - before.cpu_seconds,
            "minor_faults": after.minor_faults - before.minor_faults,
            "major_faults": after.major_faults - before.major_faults,
            "involuntary_switches": after.involuntary_switches - before.involuntary_switches,
            "steal_seconds": after.steal_seconds - before.steal_seconds,
            "load": os.getloadavg()[0],
            "frequency_mhz": cpu_frequency_mhz(),
        }

    def evaluate(self) -> Evaluated:
        """The test set has been evaluated, whole, in its own order."""
        total = Metrics(0.0, 0, 0)
        stage_seconds = seconds = 0.0
        examples = len(self._data.test_labels)
        size = evaluation_batch(self._data.test_images.shape)
        for start in range(0, examples, size):
            indices = np.arange(start, min(start + size, examples))[np.newaxis]
            began = time.perf_counter()
            staged = self.adapter.stage(
                *batches(self._data.test_images, self._data.test_labels, indices)
            )
            self.adapter.synchronize()
            staged_at = time.perf_counter()
            part = self.adapter.evaluate(staged)
            self.adapter.synchronize()
            seconds += time.perf_counter() - staged_at
            stage_seconds += staged_at - began
            total = Metrics(
                total.loss_sum + part.loss_sum,
                total.correct + part.correct,
                total.examples + part.examples,
            )
        return Evaluated(
            step=self.steps,
            loss_sum=finite(total.loss_sum),
            correct=total.correct,
            examples=total.examples,
            seconds=seconds,
            stage_seconds=stage_seconds,
        )

    def step_loss(self) -> float | None:
        """One whole batch has been trained; its mean loss in nats, nothing if it is not finite."""
        if self._taken + self._batch_size > self._order.shape[1]:
            self._next_epoch()
        self._seconds(self._stage(1))
        metrics = self.adapter.take_metrics()
        return finite(metrics.loss_sum / metrics.examples)

    def next_images(self) -> NDArray[np.float32]:
        """(B, 1, H, W): the batch that the next step will train on."""
        indices = self._order[self._epoch][self._taken : self._taken + self._batch_size]
        images, _ = batches(self._data.train_images, self._data.train_labels, indices[np.newaxis])
        first: NDArray[np.float32] = images[0]
        return first

    def _stage(self, steps: int, size: int | None = None) -> Any:
        """The next ``steps`` batches of ``size`` examples, on the device; the cursor moves on."""
        count = steps * (size or self._batch_size)
        indices = self._order[self._epoch][self._taken : self._taken + count]
        self._taken += count
        self.steps += steps
        self._order_hash.update(indices.astype("<i8").tobytes())
        return self.adapter.stage(
            *batches(self._data.train_images, self._data.train_labels, indices.reshape(steps, -1))
        )

    def _seconds(self, staged: Any) -> float:
        """Wall seconds of training on ``staged``; 0 for nothing."""
        if staged is None:
            return 0.0
        self.adapter.synchronize()
        began = time.perf_counter()
        self.adapter.train(staged)
        self.adapter.synchronize()
        return time.perf_counter() - began

    def _next_epoch(self) -> None:
        self._epoch = (self._epoch + 1) % len(self._order)
        self._taken = 0


def evaluation_batch(test_images: tuple[int, ...]) -> int:
    """Images of shape (N, H, W) that are evaluated at once; the last batch may hold fewer."""
    return max(1, EVALUATION_PIXELS // (test_images[1] * test_images[2]))


def finite(value: float) -> float | None:
    """``value``, or nothing where it is not finite (JSON has no word for that)."""
    return float(value) if math.isfinite(value) else None
