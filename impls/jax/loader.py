"""Shuffled batches as JAX's users feed them: Grain, as its tutorials do, or plain NumPy.

JAX has no data loader of its own. Its documentation names Grain, and its own MNIST example goes
through a permutation in NumPy. Grain is imported when a tutorials' loader is opened.
https://docs.jax.dev/en/latest/notebooks/Neural_Network_and_Data_Loading.html
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impls.adapter import LoaderKind, Setup

Batch = tuple[NDArray[np.float32], NDArray[np.int32]]
"""Images (B, H, W, 1) in [0, 1], and labels (B,)."""


def endless_batches(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    setup: Setup,
    workers: int,
    kind: LoaderKind,
) -> Iterator[Batch]:
    """Epoch after epoch of shuffled batches on the host, the last of each partial.

    ``images``: (N, H, W), resized where the model's are of another size; ``labels``: (N,).
    ``workers`` threads make batches ahead; 0: each is made when a step asks for it.

    Raises ``ValueError``: Grain or Pillow is not installed, and ``kind`` needs it.
    """
    height, width = setup.model.input_shape[1:]
    size = None if images.shape[1:] == (height, width) else (height, width)
    made = {"loader": _tutorials_batches, "pipeline": _experts_batches}[kind]
    return made(images, labels, size, setup, workers)


def _tutorials_batches(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int] | None,
    setup: Setup,
    workers: int,
) -> Iterator[Batch]:
    """A Grain pipeline with transforms of one example at a time, batches made in its threads.

    https://google-grain.readthedocs.io/en/latest/tutorials/dataset_basic_tutorial.html
    """
    try:
        import grain
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ValueError(
            f"No loader for jax ({error}): install requirements-cpu-loader.txt, "
            "or use --input resident"
        ) from None

    def prepared(row: int) -> Batch:
        pixels = images[row]
        if size:
            resized = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(resized)
        scaled = np.divide(pixels, np.float32(255), dtype=np.float32)
        return scaled[..., np.newaxis], labels[row].astype(np.int32)

    dataset = grain.MapDataset.range(len(labels)).shuffle(seed=setup.seed).map(prepared)
    dataset = dataset.batch(setup.batch_size, drop_remainder=False).repeat()
    ahead = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=4 * workers)
    batches: Iterator[Batch] = iter(dataset.to_iter_dataset(ahead))
    return batches


def _experts_batches(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int] | None,
    setup: Setup,
    workers: int,
) -> Iterator[Batch]:
    """Whole batches at a time, gathered and scaled by NumPy.

    A small batch takes less than handing it from thread to thread; where images are resized,
    threads do that ahead, outside of Python's lock.
    """
    answers = labels.astype(np.int32)

    def batch_at(rows: NDArray[np.int64]) -> Batch:
        pixels = np.divide(images[rows], np.float32(255), dtype=np.float32)
        return (_resized(pixels, size) if size else pixels)[..., np.newaxis], answers[rows]

    order = _endless_order(len(labels), setup.batch_size, setup.seed)
    if size and workers:
        return _made_ahead(batch_at, order, workers)
    return map(batch_at, order)


def _endless_order(examples: int, batch_size: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of batch after batch."""
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(examples)
        yield from np.split(order, range(batch_size, examples, batch_size))


def _made_ahead(make: Any, order: Iterator[Any], workers: int) -> Iterator[Any]:
    """What ``make`` gives for each of ``order``, some of them ahead, in ``workers`` threads."""
    with ThreadPoolExecutor(workers) as threads:
        waiting = [threads.submit(make, each) for each in islice(order, 2 * workers)]
        for each in order:
            yield waiting.pop(0).result()
            waiting.append(threads.submit(make, each))


def _resized(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(B, H, W) bilinearly enlarged to ``size``: each direction by one product for all images."""
    count, height, width = pixels.shape
    down, across = _weights(height, size[0]), _weights(width, size[1])
    tall = (down @ pixels.swapaxes(0, 1).reshape(height, -1)).reshape(size[0], count, width)
    wide = tall.swapaxes(0, 1).reshape(-1, width) @ across.T
    return np.clip(wide.reshape(count, *size), 0, 1)


def _weights(old: int, new: int) -> NDArray[np.float32]:
    """(new, old): the share of each old pixel in each new one, whose centres are aligned."""
    place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.minimum(place.astype(int), old - 2)
    matrix = np.zeros((new, old), np.float32)
    matrix[np.arange(new), low] = 1 - (place - low)
    matrix[np.arange(new), low + 1] = place - low
    return matrix
