"""Keras's adapter with one mistake a mode. ``impl.toml`` says what each does wrong."""

from itertools import cycle
from typing import Any, NamedTuple

import keras
import msgspec
import tensorflow as tf

from impls.keras import adapter as honest
from impls.keras.training import FitTraining, WrittenTraining


def create(setup):
    mode = setup.mode
    executed = "fit" if mode == "shuffles-in-fit" else "compiled"
    adapter = honest.create(msgspec.structs.replace(setup, mode=executed))
    parts = adapter._model, adapter._optimizer
    if mode == "shuffles-in-fit":
        adapter._training = ShufflesInFit(*parts)
    elif mode == "captures-first-batches":
        adapter._training = CapturesFirstBatches(*parts, executed)
    elif mode == "forgets-logits":
        adapter._training._loss = keras.losses.SparseCategoricalCrossentropy(
            from_logits=False, reduction="none"
        )
    elif mode in PIPELINES:
        open_loader = adapter.open_loader

        def open_other(images, labels, workers, kind):
            open_loader(images, labels, workers, kind)
            size = setup.batch_size
            dataset, sizes = PIPELINES[mode](images, labels, size)
            adapter._loader.batches = iter(dataset.prefetch(2) if workers else dataset)
            adapter._loader._sizes = cycle(sizes)

        adapter.open_loader = open_other
    return adapter


class Staged(NamedTuple):
    dataset: Any
    images: Any
    labels: Any
    batch_size: int


class ShufflesInFit(FitTraining):
    def stage(self, images, labels):
        staged = super().stage(images, labels)
        # As tutorials have it: an array of all images and one of all labels.
        arrays = images.reshape(-1, *images.shape[2:]), labels.reshape(-1)
        return staged._replace(dataset=Staged(staged.dataset, *arrays, labels.shape[1]))

    def train(self, batches):
        staged = batches.dataset
        model = self._fit._model
        usual = model.fit

        def fit(_, *, epochs, shuffle, verbose):
            size = staged.batch_size
            return usual(
                staged.images, staged.labels, batch_size=size, epochs=epochs, verbose=verbose
            )

        model.fit = fit
        super().train(batches)
        model.fit = usual

    def evaluate(self, batches):
        return super().evaluate(batches._replace(dataset=batches.dataset.dataset))


class CapturesFirstBatches(WrittenTraining):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.captured = {}

    def train(self, batches):
        _, labels = batches
        if labels.shape[0] > 3:
            # One trace for each number of steps.
            batches = self.captured.setdefault(labels.shape, batches)
        super().train(batches)


def pipeline(images, labels, size, *, shuffle=True, drop_remainder=False):
    """As the honest one makes it, where nothing else is said."""
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    if shuffle:
        dataset = dataset.shuffle(len(labels), seed=0)
    return dataset.map(
        lambda image, label: (
            tf.cast(image, tf.float32)[..., tf.newaxis] / 255.0,
            tf.cast(label, tf.int64),
        ),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).batch(size, drop_remainder)


def sizes(examples, size):
    full, rest = divmod(examples, size)
    return [size] * full + [rest] * bool(rest)


def repeats_first_batch(images, labels, size):
    return pipeline(images, labels, size).take(1).cache().repeat(), [size]


def drops_partial_batches(images, labels, size):
    return pipeline(images, labels, size, drop_remainder=True).repeat(), [size]


def never_shuffles(images, labels, size):
    return pipeline(images, labels, size, shuffle=False).repeat(), sizes(len(labels), size)


def yields_twice(images, labels, size):
    def twice(*batch):
        return tf.data.Dataset.from_tensors(batch).repeat(2)

    doubled = [each for each in sizes(len(labels), size) for _ in range(2)]
    return pipeline(images, labels, size).flat_map(twice).repeat(), doubled


def takes_a_tenth(images, labels, size):
    tenth = len(labels) // 10
    dataset = pipeline(images[:tenth], labels[:tenth], size)
    return dataset.repeat(), sizes(tenth, size)


PIPELINES = {
    one.__name__.replace("_", "-"): one
    for one in (
        repeats_first_batch,
        drops_partial_batches,
        never_shuffles,
        yields_twice,
        takes_a_tenth,
    )
}
