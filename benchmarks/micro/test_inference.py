"""A model in use: the whole test set, and one image as quickly as can be."""

import numpy as np
import pytest

from harness.worker.loop import batches, evaluation_batch
from impls import costs

EXAMPLES = 10_000


@pytest.mark.benchmark(min_rounds=3)
def test_evaluation(bench, adapter, mode, measure):
    """The test set in batches that lie on the device, loss and hits read back."""
    images, labels = bench.data.test_images, bench.data.test_labels
    size = evaluation_batch(images.shape)
    steps = 1 if bench.job.quick else max(1, min(EXAMPLES, len(labels)) // size)
    indices = np.arange(steps * size).reshape(steps, size) % len(labels)
    staged = adapter.stage(*batches(images, labels, indices))
    one = costs.forward(bench.job.model, size)
    metrics = measure(
        lambda: adapter.evaluate(staged),
        piece="evaluation",
        mode=mode,
        batch_size=size,
        examples=steps * size,
        cost=costs.Cost(steps * one.flops, steps * one.bytes),
    )
    assert metrics.examples == steps * size


def test_latency(bench, adapter, mode, measure):
    """One image from the host in, its logits on the host out."""
    images, _ = bench.examples(1)
    logits = measure(
        lambda: adapter.logits(images[0]),
        piece="latency",
        mode=mode,
        batch_size=1,
        cost=costs.forward(bench.job.model, 1),
    )
    assert logits.shape == (1, bench.job.model.CLASSES)
