"""The parts of a Keras training step, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from impls.keras.adapter import KerasAdapter
from impls.keras.layers import layer_named
from impls.keras.training import WrittenTraining
from impls.pieces import Call, Pieces, layer_steps


def create(adapter: KerasAdapter) -> Pieces:
    """The pieces of ``adapter``, each a graph where its steps are.

    Raises ``ValueError``: mode fit, whose step is inside ``Model.fit`` and has no parts to be had.
    """
    if not isinstance(adapter._training, WrittenTraining):
        raise ValueError("keras has no pieces in mode fit: Model.fit takes its step as a whole")
    with tf.device(adapter._device):
        return KerasPieces(adapter, adapter._training)


class KerasPieces:
    """The model, loss and optimizer of one adapter."""

    def __init__(self, adapter: KerasAdapter, training: WrittenTraining) -> None:
        self._model = adapter._model
        self._optimizer = adapter._optimizer
        self._device = adapter._device
        self._mode = adapter._setup.mode
        self._names = list(layer_steps(adapter._setup.model))
        self._loss = training._loss
        self._inference = training._forward
        # Traced for each size of batch, as training is.
        self._loss_and_gradients = self._executed(self._differentiated)
        self._apply = self._executed(
            lambda gradients: self._optimizer.apply(gradients, self._model.trainable_variables)
        )
        self._gradients: Any = None
        self._staged: Any = None
        self._batch: Any = None

    def forward(self, batches: Any) -> Any:
        """The (B, 10) logits of the model called with ``training=False``."""
        images, _ = self._only(batches)
        return self._inference(images)

    def forward_backward(self, batches: Any) -> None:
        """The gradients of the mean loss are kept."""
        _, self._gradients = self._loss_and_gradients(*self._only(batches))

    def optimizer_step(self) -> None:
        """The variables have moved by what ``Optimizer.apply`` makes of the gradients."""
        self._apply(self._gradients)

    def layer(self, name: str, inputs: NDArray[np.float32], *, backward: bool) -> Call:
        """A Keras layer, or its activation, or the layer without; see ``Pieces.layer``."""
        first = name == self._names[0]
        with tf.device(self._device):
            layer = layer_named(self._model, name, self._names)
            values = tf.constant(inputs.transpose(0, 2, 3, 1) if inputs.ndim == 4 else inputs)
            ones = tf.ones_like(layer(values))

        def forward_backward(values: Any, ones: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(values)
                outputs = layer(values, training=True)
            by = [*([] if first else [values]), *layer.trainable_variables]
            # A graph leaves out what nobody asks for: outputs that no gradient depends on.
            return outputs, tape.gradient(outputs, by, output_gradients=ones)

        # Handed over, as a graph would hold small tensors as constants, and compute with them once.
        if backward:
            both = self._executed(forward_backward)
            return lambda: both(values, ones)[1]
        forward = self._executed(lambda values: layer(values, training=False))
        return lambda: forward(values)

    def matmul(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> Call:
        """``tf.matmul``."""
        with tf.device(self._device):
            left, right = tf.constant(one), tf.constant(other)
        return lambda: tf.matmul(left, right)

    def copy(self, array: NDArray[np.float32]) -> Call:
        """TensorFlow's operator ``DeepCopy``: ``tf.identity`` copies nothing."""
        with tf.device(self._device):
            source = tf.constant(array)
        return lambda: tf.raw_ops.DeepCopy(x=source)

    def on_host(self, array: Any) -> NDArray[Any]:
        """A tensor's values, from (B, H, W, C) to (B, C, H, W) where it has four dimensions."""
        values: NDArray[Any] = array.numpy()
        return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values

    def _executed(self, function: Callable[..., Any]) -> Any:
        """``function`` as the mode executes it: as it is, or as a graph."""
        if self._mode == "eager":
            return function
        return tf.function(function, jit_compile=self._mode == "xla")

    def _only(self, batches: Any) -> Any:
        """Images and labels of the one batch that is staged; taken out of its tensors once."""
        if batches is not self._staged:
            images, labels = batches
            self._staged, self._batch = batches, (images[0], labels[0])
        return self._batch

    def _differentiated(self, images: Any, labels: Any) -> Any:
        """The mean loss, and its gradient by each variable."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self._loss(labels, self._model(images, training=True)))
        return loss, tape.gradient(loss, self._model.trainable_variables)
