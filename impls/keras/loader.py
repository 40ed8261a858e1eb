"""The training set through ``tf.data``, as Keras's tutorials feed it."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


class Loader:
    """Epoch after epoch of shuffled batches, without end.

    https://www.tensorflow.org/datasets/keras_example has the same steps, and
    https://www.tensorflow.org/guide/data_performance the options.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        *,
        size: tuple[int, int],
        batch_size: int,
        seed: int,
        workers: int,
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
        """
        full, rest = divmod(len(labels), batch_size)
        self._sizes = cycle([batch_size] * full + [rest] * bool(rest))
        self.batches: Any = iter(_pipeline(images, labels, size, batch_size, seed, workers))
        """A ``tf.data`` iterator of (B, H, W, 1) float32 in [0, 1] and (B,) int64 tensors."""

    def examples_of_next(self, steps: int) -> int:
        """How many examples the next ``steps`` batches hold that have not been asked for before."""
        return sum(islice(self._sizes, steps))


def _pipeline(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int],
    batch_size: int,
    seed: int,
    workers: int,
) -> Any:
    """The dataset behind ``Loader.batches``."""
    resized = images.shape[1:] != size

    def prepared(image: Any, label: Any) -> tuple[Any, Any]:
        pixels = tf.cast(image, tf.float32)[..., tf.newaxis] / 255.0
        return tf.image.resize(pixels, size) if resized else pixels, tf.cast(label, tf.int64)

    options = tf.data.Options()
    if workers:
        options.threading.private_threadpool_size = workers
    else:
        # Otherwise tf.data adds threads and prefetching where it sees fit.
        options.autotune.enabled = False
        options.experimental_optimization.inject_prefetch = False
    with tf.device("/CPU:0"):
        # A whole epoch's order is drawn, a new one each time.
        dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels), seed)
        dataset = dataset.map(prepared, num_parallel_calls=tf.data.AUTOTUNE if workers else None)
        dataset = dataset.batch(batch_size).repeat()
        if workers:
            dataset = dataset.prefetch(tf.data.AUTOTUNE)
        return dataset.with_options(options)
