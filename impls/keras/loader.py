"""The training set through ``tf.data``, as tutorials feed it to Keras and as an expert does."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from impls.adapter import LoaderKind


class Loader:
    """Epoch after epoch of shuffled batches, without end."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        *,
        size: tuple[int, int],
        batch_size: int,
        seed: int,
        workers: int,
        kind: LoaderKind,
    ) -> None:
        """The pipeline stands, and has not begun.

        Args:
            images: (N, H, W).
            labels: (N,).
            size: Height and width that the model wants; others are resized bilinearly.
            batch_size: Of all batches but the last of an epoch.
            seed: The order of each epoch follows from it.
            workers: Threads of the pipeline's own pool, where images are prepared while the model
                trains. 0: no pool and nothing at hand, a batch is made when a step asks for it.
            kind: See ``LoaderKind``.
        """
        full, rest = divmod(len(labels), batch_size)
        self._sizes = cycle([batch_size] * full + [rest] * bool(rest))
        resized = size if images.shape[1:] != size else None
        made = {"loader": _tutorials_dataset, "pipeline": _experts_dataset}[kind]
        options = tf.data.Options()
        if workers:
            options.threading.private_threadpool_size = workers
        else:
            # Otherwise tf.data adds threads and prefetching where it sees fit.
            options.autotune.enabled = False
            options.experimental_optimization.inject_prefetch = False
        with tf.device("/CPU:0"):
            dataset = made(images, labels, resized, batch_size, seed, workers)
            self.batches: Any = iter(dataset.with_options(options))
            """A ``tf.data`` iterator of (B, H, W, 1) float32 in [0, 1] and (B,) int64 tensors."""

    def examples_of_next(self, steps: int) -> int:
        """How many examples the next ``steps`` batches hold that have not been asked for before."""
        return sum(islice(self._sizes, steps))


def _tutorials_dataset(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int] | None,
    batch_size: int,
    seed: int,
    workers: int,
) -> Any:
    """Transforms of one example at a time, each epoch begun anew.

    The steps of https://www.tensorflow.org/datasets/keras_example without its cache: that would
    hold large images as 12 GB of float32, and leave later epochs without any transforms, which the
    other frameworks' tutorials pay for. Its shuffle comes first, where examples are still bytes.
    """
    parallel = tf.data.AUTOTUNE if workers else None
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels), seed)
    dataset = dataset.map(_prepared(size), num_parallel_calls=parallel).batch(batch_size)
    return (dataset.prefetch(tf.data.AUTOTUNE) if workers else dataset).repeat()


def _experts_dataset(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int] | None,
    batch_size: int,
    seed: int,
    workers: int,
) -> Any:
    """Whole batches at a time, gathered from tensors; an epoch's end interrupts nothing.

    https://www.tensorflow.org/guide/data_performance: vectorized mapping, parallel, prefetched.
    """
    pixels, answers = tf.constant(images), tf.constant(labels)
    prepared = _prepared(size)
    whole = len(labels) - len(labels) % batch_size

    def batches_of(epoch: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(labels)), seed=tf.stack([tf.constant(seed, tf.int64), epoch])
        )
        full = tf.data.Dataset.from_tensor_slices(tf.reshape(order[:whole], (-1, batch_size)))
        rest = tf.data.Dataset.from_tensors(order[whole:])
        return full.concatenate(rest) if whole < len(labels) else full

    def batch_at(rows: Any) -> tuple[Any, Any]:
        images, labels = prepared(tf.gather(pixels, rows), tf.gather(answers, rows))
        return images, labels

    epochs = tf.data.Dataset.counter()
    dataset = epochs.flat_map(batches_of)
    dataset = dataset.map(batch_at, num_parallel_calls=tf.data.AUTOTUNE if workers else None)
    return dataset.prefetch(tf.data.AUTOTUNE) if workers else dataset


def _prepared(size: tuple[int, int] | None) -> Any:
    """What makes an example, or a batch of them, fit for the model."""

    def prepared(images: Any, labels: Any) -> tuple[Any, Any]:
        pixels = tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0
        return tf.image.resize(pixels, size) if size else pixels, tf.cast(labels, tf.int64)

    return prepared
