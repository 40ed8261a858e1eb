"""The parts of a Keras training step on JAX, one by one."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from impls.keras.layers import layer_named
from impls.keras_jax.adapter import KerasJaxAdapter
from impls.keras_jax.training import CompiledTraining, State
from impls.pieces import Call, Pieces, layer_steps


def create(adapter: KerasJaxAdapter) -> Pieces:
    """The pieces of ``adapter``, each compiled by itself.

    Raises ``ValueError``: mode fit, whose step is inside ``Model.fit`` and has no parts to be had.
    """
    if not isinstance(adapter._training, CompiledTraining):
        raise ValueError("keras_jax has no pieces in mode fit: Model.fit takes its step as a whole")
    with jax.default_device(adapter._device):
        return KerasJaxPieces(adapter, adapter._training)


class KerasJaxPieces:
    """The model, loss and optimizer of one adapter.

    Each call waits for its own end: JAX has no way to wait for all that was issued, and calls that
    do not depend on each other may be computed at the same time.
    """

    def __init__(self, adapter: KerasJaxAdapter, training: CompiledTraining) -> None:
        self._training = training
        self._model = adapter._network.model
        self._device = adapter._device
        self._names = list(layer_steps(adapter._setup.model))
        self._differentiate = jax.jit(self._gradients_and_sums)
        self._update = jax.jit(training.updated, donate_argnums=0)
        self._gradients: Any = None

    def forward(self, batches: Any) -> Any:
        """The (B, 10) logits of the model in inference mode."""
        ((images, _),) = batches
        return jax.block_until_ready(self._training.logits(images))

    def forward_backward(self, batches: Any) -> None:
        """The gradients of the mean loss are kept."""
        ((images, labels),) = batches
        found = self._differentiate(self._training.state, images, labels)
        self._gradients, _, _ = jax.block_until_ready(found)

    def optimizer_step(self) -> None:
        """The state has moved by what ``Optimizer.stateless_apply`` makes of the gradients."""
        self._training.state = self._update(self._training.state, self._gradients)

    def layer(self, name: str, inputs: NDArray[np.float32], *, backward: bool) -> Call:
        """A Keras layer, or its activation, or the layer without; see ``Pieces.layer``."""
        first = name == self._names[0]
        with jax.default_device(self._device):
            self._training.give_back()
            layer = layer_named(self._model, name, self._names)
            variables = layer.trainable_variables
            weights = [variable.value for variable in variables]
            values = jnp.asarray(inputs.transpose(0, 2, 3, 1) if inputs.ndim == 4 else inputs)

        def outputs_of(values: Any, weights: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
                return layer(values, training=backward)

        def forward_backward(values: Any, weights: Any) -> Any:
            outputs, pull_back = jax.vjp(outputs_of, values, weights)
            by_inputs, by_weights = pull_back(jnp.ones_like(outputs))
            # Outputs too: XLA leaves out what nobody asks for.
            return outputs, [*([] if first else [by_inputs]), *by_weights]

        if backward:
            both = jax.jit(forward_backward)
            return lambda: jax.block_until_ready(both(values, weights))[1]
        forward = jax.jit(outputs_of)
        return lambda: jax.block_until_ready(forward(values, weights))

    def matmul(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> Call:
        """``jnp.matmul``, compiled, in full float32."""
        left, right = (jax.device_put(array, self._device) for array in (one, other))
        product = jax.jit(jnp.matmul)
        return lambda: jax.block_until_ready(product(left, right))

    def copy(self, array: NDArray[np.float32]) -> Call:
        """``jnp.copy``, compiled."""
        source, copied = jax.device_put(array, self._device), jax.jit(jnp.copy)
        return lambda: jax.block_until_ready(copied(source))

    def on_host(self, array: Any) -> NDArray[Any]:
        """An array's values, from (B, H, W, C) to (B, C, H, W) where it has four dimensions."""
        values: NDArray[Any] = np.asarray(array)
        return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values

    def _gradients_and_sums(self, state: State, images: Any, labels: Any) -> Any:
        gradients, loss_sum, correct, _ = self._training.differentiated(state, images, labels)
        return gradients, loss_sum, correct
