"""What a framework's own data loader brings, seen outside every clock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.datasets.arrays import Arrays, ExamplesDigest, examples_digest, load_arrays
from harness.worker.loop import finite
from harness.worker.wire import Job, Load, Loaded, Sums
from impls.adapter import LoadedBatch, LoadingAdapter, Metrics


def load(
    adapter: LoadingAdapter, job: Job, weights: dict[str, NDArray[Any]], command: Load
) -> Loaded:
    """An epoch of the loader's has been looked at, and its first batches were trained on twice: as
    the loader brings them, and staged as the proof has them.

    Raises:
        ValueError: the job has no loader.
    """
    if job.loader is None:
        raise ValueError("The job has no loader, expected one: its cell's input is resident")
    published = load_arrays(Path(job.loader.data_folder))
    size = job.setup.batch_size
    open_again = partial(
        adapter.open_loader,
        published.train_images,
        published.train_labels,
        job.loader.workers,
        job.loader.kind,
    )

    open_again()
    per_epoch = -(-len(published.train_labels) // size)
    epoch = adapter.loaded_batches(per_epoch)
    first = list(islice(epoch, command.steps))
    total, labels = ExamplesDigest(0, 0), np.zeros(10, np.int64)
    for batch in (*first, *epoch):
        total += _digest(batch, published)
        labels += np.bincount(batch.labels, minlength=10)[:10]
    second = next(adapter.loaded_batches(1))
    open_again()
    by_loader = _trained(adapter, weights, partial(adapter.train_from_loader, len(first)))
    after = {f"loader/{name}": array for name, array in adapter.weights().items()}
    staged = [adapter.stage(batch.images[np.newaxis], batch.labels[np.newaxis]) for batch in first]

    def train_staged() -> None:
        for batch in staged:
            adapter.train(batch)

    resident = _trained(adapter, weights, train_staged)
    after |= {f"resident/{name}": array for name, array in adapter.weights().items()}
    with Path(command.output).open("wb") as file:
        np.savez(file, **after)  # type: ignore[arg-type]  # numpy/numpy#23006
    return Loaded(
        examples=total.examples,
        digest=f"{total.total:064x}" if _same_size(first[0], published) else "",
        labels=tuple(int(count) for count in labels),
        in_file_order=np.array_equal(first[0].labels, published.train_labels[:size]),
        same_order_again=np.array_equal(first[0].images, second.images),
        by_loader=by_loader,
        resident=resident,
    )


def _digest(batch: LoadedBatch, published: Arrays) -> ExamplesDigest:
    """Order-free, of a batch's pixels as they were published, and of its labels.

    Images that the framework has resized can't be told apart so: they count, and no more.
    """
    if not _same_size(batch, published):
        return ExamplesDigest(len(batch.labels), 0)
    pixels = np.rint(batch.images[:, 0] * np.float32(255)).clip(0, 255).astype(np.uint8)
    return examples_digest(pixels, batch.labels)


def _same_size(batch: LoadedBatch, published: Arrays) -> bool:
    return batch.images.shape[2:] == published.train_images.shape[1:]


def _trained(
    adapter: LoadingAdapter, weights: dict[str, NDArray[Any]], train: Callable[[], None]
) -> Sums:
    """The metrics of ``train`` from the initial weights."""
    adapter.load_weights(weights)
    adapter.synchronize()
    adapter.take_metrics()
    train()
    adapter.synchronize()
    metrics: Metrics = adapter.take_metrics()
    return Sums(
        loss_sum=finite(metrics.loss_sum), correct=metrics.correct, examples=metrics.examples
    )
