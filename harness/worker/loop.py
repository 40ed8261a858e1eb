"""THE training loop: the same for every framework, every mode and every kind of trial."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.datasets.arrays import Arrays, digest_of_weights, rows_at
from harness.datasets.order import OrderCursor, examples_in
from harness.spec.events import Sample
from harness.worker.clocks import Lap, Laps, Stopwatch
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


class Work(NamedTuple):
    """The steps of one window, ready to be taken."""

    lead_in: Callable[[], None]
    timed: Callable[[], None]
    partial: Callable[[], None] | None
    """Nothing: there is no partial batch to train."""
    examples: int
    """Of the timed steps, by the harness's own count."""
    steps: int
    """All of them."""
    gather_cpu_seconds: float
    """What the harness took to gather the batches on the host."""


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
        self._cursor = OrderCursor(order)
        self._batch_size = batch_size
        self._loading = loading

    @property
    def order_hash(self) -> str:
        """SHA-256 of the indices trained on so far, int64 little-endian; empty with a loader."""
        return "" if self._loading else self._cursor.hash

    def window(self, command: Train) -> Trained:
        """One window has been trained, with its lead-in before and its partial batch after it.

        All of its time is accounted for, lap by lap. The weights are read before the first step and
        after the last, and metrics and weights once more: what another reading takes longer than
        the last one is work that had been left over.
        """
        laps = Laps()
        first_step = self.steps
        work = self._loaded(command) if self._loading else self._staged(command)
        self.adapter.synchronize()
        stage = laps.lap()
        weights = self.adapter.weights()
        self.adapter.synchronize()
        read_before = laps.lap()
        weights_before = digest_of_weights(weights)
        laps.lap()
        lead_in = self._lap_of(work.lead_in, laps)
        window = self._timed(work.timed)
        laps.lap()
        partial = self._lap_of(work.partial, laps) if work.partial else Lap(0.0, 0.0)
        metrics = self.adapter.take_metrics()
        weights = self.adapter.weights()
        read = laps.lap()
        self.adapter.take_metrics()
        self.adapter.weights()
        read_again = laps.lap()
        self.steps += work.steps
        weights_after = digest_of_weights(weights)
        total = laps.total()
        return Trained(
            first_step=first_step,
            steps=command.steps,
            examples=work.examples,
            lead_in_steps=command.lead_in,
            lead_in_seconds=lead_in.seconds,
            partial_steps=int(work.partial is not None),
            partial_seconds=partial.seconds,
            stage_seconds=stage.seconds,
            loss_sum=finite(metrics.loss_sum),
            correct=metrics.correct,
            trained_examples=metrics.examples,
            gather_cpu_seconds=work.gather_cpu_seconds,
            stage_cpu_seconds=max(0.0, stage.cpu_seconds - work.gather_cpu_seconds),
            lead_in_cpu_seconds=lead_in.cpu_seconds,
            partial_cpu_seconds=partial.cpu_seconds,
            read_before_seconds=read_before.seconds,
            read_before_cpu_seconds=read_before.cpu_seconds,
            read_seconds=read.seconds,
            read_cpu_seconds=read.cpu_seconds,
            read_again_seconds=read_again.seconds,
            read_again_cpu_seconds=read_again.cpu_seconds,
            total_seconds=total.seconds,
            total_cpu_seconds=total.cpu_seconds,
            weights_before=weights_before,
            weights_after=weights_after,
            **window,
        )

    def _staged(self, command: Train) -> Work:
        """Steps on batches that lie on the device before any clock starts."""
        size, gathering = self._batch_size, Stopwatch()
        self._cursor.require((command.lead_in + command.steps) * size)

        def training(steps: int, size: int) -> Callable[[], None]:
            if not steps:
                return lambda: None
            with gathering:
                images, labels = self._gathered(self._cursor.take(steps, size))
            return partial(self.adapter.train, self.adapter.stage(images, labels))

        lead_in = training(command.lead_in, size)
        timed = training(command.steps, size)
        left = self._cursor.left if command.partial else 0
        rest = training(1, left) if 0 < left < size else None
        return Work(
            lead_in=lead_in,
            timed=timed,
            partial=rest,
            examples=command.steps * size,
            steps=command.lead_in + command.steps + int(rest is not None),
            gather_cpu_seconds=gathering.cpu_seconds,
        )

    def _loaded(self, command: Train) -> Work:
        """Steps on batches that the framework's own loader brings while the clock runs."""
        train = self.adapter.train_from_loader
        timed = self.steps + command.lead_in
        return Work(
            lead_in=partial(train, command.lead_in),
            timed=partial(train, command.steps),
            partial=None,
            examples=self._loader_examples(timed + command.steps) - self._loader_examples(timed),
            steps=command.lead_in + command.steps,
            gather_cpu_seconds=0.0,
        )

    def _loader_examples(self, steps: int) -> int:
        """Examples of a loader's first ``steps`` batches."""
        return examples_in(steps, self._batch_size, len(self._data.train_labels))

    def _lap_of(self, work: Callable[[], None], laps: Laps) -> Lap:
        """What ``work`` has taken, to its very end."""
        work()
        self.adapter.synchronize()
        return laps.lap()

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
            "idle_seconds": _passed(before.idle_seconds, after.idle_seconds),
            "load": os.getloadavg()[0],
            "frequency_mhz": cpu_frequency_mhz(),
        }

    def evaluate(self, sample: int) -> Evaluated:
        """The test set has been evaluated, whole, in its own order.

        ``sample``: number of a batch that is counted again, from its logits, outside the clock.
        """
        total = Metrics(0.0, 0, 0)
        stage_seconds = seconds = 0.0
        examples = len(self._data.test_labels)
        size = evaluation_batch(self._data.test_images.shape)
        starts = range(0, examples, size)
        recounted: Sample | None = None
        for number, start in enumerate(starts):
            indices = np.arange(start, min(start + size, examples))[np.newaxis]
            began = time.perf_counter()
            images, labels = batches(self._data.test_images, self._data.test_labels, indices)
            staged = self.adapter.stage(images, labels)
            self.adapter.synchronize()
            staged_at = time.perf_counter()
            part = self.adapter.evaluate(staged)
            self.adapter.synchronize()
            seconds += time.perf_counter() - staged_at
            stage_seconds += staged_at - began
            if number == sample % len(starts):
                recounted = recount(self.adapter.logits(images[0]), labels[0], part)
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
            sample=recounted,
        )

    def require(self, steps: int) -> None:
        """The next ``steps`` whole batches come from one epoch."""
        self._cursor.require(steps * self._batch_size)

    def train_steps(self, steps: int) -> Metrics:
        """The next ``steps`` whole batches have been trained in one call; its metrics."""
        self.require(steps)
        self.adapter.train(
            self.adapter.stage(*self._gathered(self._cursor.take(steps, self._batch_size)))
        )
        self.adapter.synchronize()
        self.steps += steps
        return self.adapter.take_metrics()

    def next_images(self) -> NDArray[np.float32]:
        """(B, 1, H, W): the batch that the next step will train on."""
        self._cursor.require(self._batch_size)
        images, _ = self._gathered(self._cursor.peek(self._batch_size)[np.newaxis])
        first: NDArray[np.float32] = images[0]
        return first

    def _gathered(self, indices: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Canonical arrays of the training examples at ``indices`` (S, B)."""
        return batches(self._data.train_images, self._data.train_labels, indices)


def _passed(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def recount(logits: NDArray[Any], labels: NDArray[np.int64], said: Metrics) -> Sample:
    """What the adapter ``said`` of a batch beside what its ``logits`` (B, 10) amount to."""
    values = logits.astype(np.float64)
    shifted = values - values.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return Sample(
        examples=len(labels),
        loss_sum=finite(said.loss_sum),
        correct=said.correct,
        recounted_loss_sum=finite(float(losses.sum())),
        recounted_correct=int(np.count_nonzero(values.argmax(axis=1) == labels)),
    )


def evaluation_batch(test_images: tuple[int, ...]) -> int:
    """Images of shape (N, H, W) that are evaluated at once; the last batch may hold fewer."""
    return max(1, EVALUATION_PIXELS // (test_images[1] * test_images[2]))


def finite(value: float) -> float | None:
    """``value``, or nothing where it is not finite (JSON has no word for that)."""
    return float(value) if math.isfinite(value) else None
