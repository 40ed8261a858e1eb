"""How a batch gets to the device: gathered on the host, then staged."""

from itertools import cycle

import numpy as np

from harness.worker.loop import batches
from impls import costs


def test_gather(bench, batch_size, measure):
    """The harness's own work, with the NumPy of the framework's environment."""
    images, labels = bench.data.train_images, bench.data.train_labels
    order = np.random.RandomState(bench.job.seed).permutation(len(labels))
    whole = order[: len(order) // batch_size * batch_size].reshape(-1, 1, batch_size)
    indices = cycle(whole)
    measure(
        lambda: batches(images, labels, next(indices)),
        piece="gather",
        batch_size=batch_size,
        cost=costs.gather(bench.job.model, batch_size),
    )


def test_staging(bench, adapter, mode, batch_size, measure):
    images, labels = bench.examples(batch_size)
    measure(
        lambda: adapter.stage(images, labels),
        piece="staging",
        mode=mode,
        batch_size=batch_size,
        cost=costs.staging(bench.job.model, batch_size, bench.job.device),
    )
