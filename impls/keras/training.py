"""How a Keras model is trained: step by step around a ``GradientTape``, or by ``Model.fit``.

Both take the same loss and optimizer, and hold the sums that the suite asks for.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from impls.adapter import Metrics
from impls.keras.fit import NOTHING, Fit, sum_of
from impls.keras.loader import Loader


class Training(Protocol):
    """Trains one model, and evaluates it in the same way of execution."""

    def stage(self, images: Any, labels: Any) -> Any:
        """(S, B, H, W, C) and (S, B) int64 arrays as batches for the methods below.

        Images have the model's precision, as for ``logits``.
        """

    def train(self, batches: Any) -> None:
        """One optimizer step per batch has been issued, and its loss and hits are added up."""

    def train_from(self, loader: Loader, steps: int) -> None:
        """Likewise for the next ``steps`` batches of ``loader``."""

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and hits of the batches in inference mode."""

    def logits(self, images: Any) -> Any:
        """(B, 10) tensor or array for (B, H, W, C) images, in inference mode."""


class WrittenTraining:
    """Steps written out, as graphs or not: modes eager, compiled and xla."""

    def __init__(self, model: Any, optimizer: Any, mode: str) -> None:
        self._model = model
        self._optimizer = optimizer
        self._loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        # float64, as a float32 sum over an epoch would be off in the sixth digit.
        self._loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._correct = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._examples = 0
        self._step, self._forward = self._one_step, self._inference
        self._loaded = self._loaded_steps
        self._graphs: dict[int, Any] = {}
        self._eager = mode == "eager"
        if not self._eager:
            self._compile(xla=mode == "xla")

    def _compile(self, *, xla: bool) -> None:
        """Inference is a graph of one trace for all batches, training one for each size of them.

        ``jit_compile`` is never left to "auto", which changes with the device. XLA compiles the
        step and not the loop around it, as a step inside its own loops takes four times longer.
        """
        image = self._model.input_shape[1:]
        if xla:
            self._step = tf.function(self._one_step, jit_compile=True)
        self._loaded = tf.function(self._loaded_steps, jit_compile=False)
        self._forward = tf.function(
            self._inference,
            input_signature=[tf.TensorSpec([None, *image], self._model.inputs[0].dtype)],
            jit_compile=xla,
        )

    def stage(self, images: Any, labels: Any) -> Any:
        """A tensor of all images and one of all labels, on the device."""
        return tf.constant(images), tf.constant(labels)

    def train(self, batches: Any) -> None:
        """One optimizer step per batch has been issued, and its loss and hits are added up."""
        images, labels = batches
        self._steps_on(labels.shape[1])(images, labels)
        self._examples += labels.shape[0] * labels.shape[1]

    def train_from(self, loader: Loader, steps: int) -> None:
        """Likewise for the next ``steps`` batches of ``loader``."""
        self._loaded(loader.batches, tf.constant(steps))
        self._examples += loader.examples_of_next(steps)

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        metrics = Metrics(float(self._loss_sum.numpy()), int(self._correct.numpy()), self._examples)
        self._loss_sum.assign(0.0)
        self._correct.assign(0)
        self._examples = 0
        return metrics

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and hits of the batches in inference mode."""
        total = NOTHING
        for images, labels in zip(*batches, strict=True):
            logits = self._forward(images)
            loss_sum = float(tf.reduce_sum(self._loss(labels, logits)))
            total = sum_of(total, Metrics(loss_sum, int(_hits(labels, logits)), len(labels)))
        return total

    def logits(self, images: Any) -> Any:
        """(B, 10) tensor for (B, H, W, C) images, in inference mode."""
        return self._forward(tf.constant(images))

    def _steps_on(self, batch_size: int) -> Any:
        """A step per batch of this size, which makes a faster graph than one for any; traced,
        whatever their number.
        """
        if self._eager:
            return self._all_steps
        if batch_size not in self._graphs:
            image = self._model.input_shape[1:]
            self._graphs[batch_size] = tf.function(
                self._all_steps,
                input_signature=[
                    tf.TensorSpec([None, batch_size, *image], self._model.inputs[0].dtype),
                    tf.TensorSpec([None, batch_size], tf.int64),
                ],
                jit_compile=False,
            )
        return self._graphs[batch_size]

    def _all_steps(self, images: Any, labels: Any) -> None:
        """A step per batch; traced, the loop becomes a loop of the graph."""
        for index in tf.range(tf.shape(images)[0]):
            self._step(images[index], labels[index])

    def _loaded_steps(self, batches: Any, steps: Any) -> None:
        """A step for each of the iterator's next batches; traced, a loop of the graph."""
        for _ in tf.range(steps):
            images, labels = batches.get_next()
            self._step(images, labels)

    def _one_step(self, images: Any, labels: Any) -> None:
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self._model(images, training=True)
            losses = self._loss(labels, logits)
            loss = tf.reduce_mean(losses)
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        self._loss_sum.assign_add(tf.cast(tf.reduce_sum(losses), tf.float64))
        self._correct.assign_add(_hits(labels, logits))

    def _inference(self, images: Any) -> Any:
        return self._model(images, training=False)


class FitBatches(NamedTuple):
    """Batches as ``fit`` takes them."""

    dataset: Any
    examples: int


class FitTraining:
    """``Model.fit`` and ``Model.evaluate``: mode fit. Each call is one epoch over its batches.

    Batches come as a ``tf.data.Dataset`` whose elements they are, made when they are staged: from
    arrays, each call of ``fit`` would first build such a pipeline itself, which takes 0.1 s more
    than a call does so. A pipeline hands its batches out on the CPU, also where a GPU trains: there
    ``fit`` copies each to it within the clock, as it does for everybody who calls it so.
    """

    def __init__(self, model: Any, optimizer: Any) -> None:
        self._fit = Fit(model, optimizer, jit_compile=False)

    def stage(self, images: Any, labels: Any) -> FitBatches:
        """A dataset of S elements."""
        with tf.device("/CPU:0"):
            return FitBatches(tf.data.Dataset.from_tensor_slices((images, labels)), labels.size)

    def train(self, batches: FitBatches) -> None:
        """One optimizer step per batch has been taken by one call of ``fit``."""
        self._fit.train(batches.dataset, batches.examples)

    def train_from(self, loader: Loader, steps: int) -> None:
        """Likewise for the next ``steps`` batches of ``loader``.

        ``fit`` would start an epoch of its own on the loader's dataset at each call, and throw away
        what is at hand when it returns; so it gets one that draws from the open iterator.
        """
        if steps:  # fit refuses an empty dataset
            dataset = tf.data.Dataset.range(steps).map(lambda _: loader.batches.get_next())
            self.train(FitBatches(dataset, loader.examples_of_next(steps)))

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        return self._fit.take_metrics()

    def evaluate(self, batches: FitBatches) -> Metrics:
        """Loss and hits of the batches in inference mode."""
        return self._fit.evaluate(batches.dataset, batches.examples)

    def logits(self, images: Any) -> Any:
        """(B, 10) array for (B, H, W, C) images, in inference mode."""
        return self._fit.logits(images)


def _hits(labels: Any, logits: Any) -> Any:
    """The number of examples, int64, whose largest logit is the label's."""
    return tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels)
