"""The parts of a JAX training step, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from impls.jax.adapter import JaxAdapter
from impls.jax.models import Chain
from impls.jax.training import CompiledTraining
from impls.pieces import Call, Pieces, layer_steps


def create(adapter: JaxAdapter) -> Pieces:
    """The pieces of ``adapter``, each compiled by itself.

    Raises ``ValueError``: mode nnx, whose step changes its objects in one call.
    """
    if not isinstance(adapter._training, CompiledTraining):
        raise ValueError("jax has no pieces in mode nnx: nnx.jit takes its step as a whole")
    return JaxPieces(adapter, adapter._training)


class JaxPieces:
    """The model, loss and optimizer of one adapter.

    Each call waits for its own end: JAX has no way to wait for all that was issued, and calls that
    do not depend on each other may be computed at the same time.
    """

    def __init__(self, adapter: JaxAdapter, training: CompiledTraining) -> None:
        self._training = training
        self._device = adapter._device
        self._names = list(layer_steps(adapter._setup.model))
        self._differentiate = jax.jit(self._gradients_and_loss)
        self._update = jax.jit(self._updated, donate_argnums=0)
        self._gradients: Any = None

    def forward(self, batches: Any) -> Any:
        """The (B, 10) logits of the model in inference mode."""
        ((images, _),) = batches
        return jax.block_until_ready(self._training.logits(images))

    def forward_backward(self, batches: Any) -> None:
        """The gradients of the mean loss are kept."""
        ((images, labels),) = batches
        found = self._differentiate(self._training.leaves, images, labels)
        self._gradients, _, _ = jax.block_until_ready(found)

    def optimizer_step(self) -> None:
        """The state has moved by what Optax makes of the gradients."""
        self._training.leaves = self._update(self._training.leaves, self._gradients)

    def layer(self, name: str, inputs: NDArray[np.float32], *, backward: bool) -> Call:
        """A layer, or a function, of the chain that the model is; see ``Pieces.layer``."""
        layer, first = self._layer(name), name == self._names[0]
        values = self._staged(inputs.transpose(0, 2, 3, 1) if inputs.ndim == 4 else inputs)
        graph, parameters, rest = None, {}, {}
        if isinstance(layer, nnx.Module):
            layer.train() if backward else layer.eval()
            graph, *states = nnx.split(layer, nnx.Param, ...)
            # Copies: the next step uses up what the model holds now.
            parameters, rest = jax.tree.map(jnp.copy, nnx.as_pure(states))

        def outputs_of(values: Any, parameters: Any) -> Any:
            return (nnx.merge(graph, parameters, rest) if graph else layer)(values)

        def forward_backward(values: Any, parameters: Any) -> Any:
            outputs, pull_back = jax.vjp(outputs_of, values, parameters)
            by_inputs, found = pull_back(jnp.ones_like(outputs))
            by_parameters = [found[part] for part in ("kernel", "scale", "bias") if part in found]
            # Outputs too: XLA leaves out what nobody asks for.
            return outputs, [*([] if first else [by_inputs]), *by_parameters]

        if backward:
            both = jax.jit(forward_backward)
            return lambda: jax.block_until_ready(both(values, parameters))[1]
        forward = jax.jit(outputs_of)
        return lambda: jax.block_until_ready(forward(values, parameters))

    def matmul(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> Call:
        """``jnp.matmul``, compiled, in full float32."""
        left, right = self._staged(one), self._staged(other)
        product = jax.jit(jnp.matmul)
        return lambda: jax.block_until_ready(product(left, right))

    def copy(self, array: NDArray[np.float32]) -> Call:
        """``jnp.copy``, compiled."""
        source, copied = self._staged(array), jax.jit(jnp.copy)
        return lambda: jax.block_until_ready(copied(source))

    def on_host(self, array: Any) -> NDArray[Any]:
        """An array's values, from (B, H, W, C) to (B, C, H, W) where it has four dimensions."""
        values: NDArray[Any] = np.asarray(array)
        return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values

    def _gradients_and_loss(self, leaves: list[Any], images: Any, labels: Any) -> Any:
        state = self._training.state(leaves)
        gradients, loss_sum, correct, _ = self._training.differentiated(state, images, labels)
        return gradients, loss_sum, correct

    def _updated(self, leaves: list[Any], gradients: Any) -> list[Any]:
        state = self._training.state(leaves)
        after: list[Any] = jax.tree.leaves(self._training.updated(state, gradients))
        return after

    def _staged(self, array: NDArray[np.float32]) -> Any:
        return jax.device_put(array, self._device)

    def _layer(self, name: str) -> Any:
        """What the canonical ``name`` means."""
        links = list(_links(self._training.model()))
        if len(links) != len(self._names):
            raise ValueError(
                f"No layer {name!r} in jax: {len(links)} links of its chain, expected the model's "
                f"{len(self._names)} layers"
            )
        return links[self._names.index(name)]


def _links(chain: Any) -> Iterator[Any]:
    """Each layer and function of a chain, those of chains in it in their place."""
    for name in chain.order:
        link = getattr(chain, name)
        if isinstance(link, Chain):
            yield from _links(link)
        else:
            yield link
