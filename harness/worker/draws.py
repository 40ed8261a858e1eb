"""Losses of one batch under one dropout mask after the other, the weights staying as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.arrays import load_arrays
from harness.worker.loop import batches, finite
from harness.worker.wire import Draw, Drawn, Job
from impls.adapter import Adapter

INFERENCE_PASSES = 4
"""Half of them before the draws, half after: whoever drops in inference too gives other losses."""


def draw(adapter: Adapter, job: Job, command: Draw) -> Drawn:
    """``command.draws`` losses of copies of the first image that training would see."""
    data = load_arrays(Path(job.data_folder))
    first = np.load(job.order, mmap_mode="r")[0][:1]
    indices = np.repeat(first, command.copies)[np.newaxis]
    images, labels = batches(data.train_images, data.train_labels, indices)
    staged = adapter.stage(images, labels)

    def inference() -> list[float | None]:
        passes = [adapter.evaluate(staged) for _ in range(INFERENCE_PASSES // 2)]
        return [finite(each.loss_sum / each.examples) for each in passes]

    before = inference()
    if command.at_once:
        losses = draws_at_once(adapter, images[0], labels[0], command.draws)
    else:
        losses = dropout_draws(adapter, staged, command.draws)
    return Drawn(losses=tuple(losses), inference_losses=(*before, *inference()))


def dropout_draws(adapter: Adapter, staged: Any, draws: int) -> list[float | None]:
    """The batch's mean loss in each of so many training steps, in nats.

    ``staged``: one batch. The optimizer's rate is 0, so that nothing but the masks changes.
    """
    losses = []
    adapter.take_metrics()
    for _ in range(draws):
        adapter.train(staged)
        metrics = adapter.take_metrics()
        losses.append(finite(metrics.loss_sum / metrics.examples))
    return losses


def draws_at_once(
    adapter: Any, images: NDArray[np.float32], labels: NDArray[np.int64], draws: int
) -> list[float | None]:
    """Likewise, by a method of the oracle's own that takes no optimizer steps."""
    return [finite(float(loss)) for loss in adapter.training_losses(images, labels, draws)]
