"""The parts of a Gluon training step, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
from numpy.typing import NDArray

from impls.gluon.adapter import GluonAdapter
from impls.pieces import Call, Pieces, layer_steps


def create(adapter: GluonAdapter) -> Pieces:
    """The pieces of ``adapter``, hybridized where its steps are."""
    return GluonPieces(adapter)


class GluonPieces:
    """The net, loss and trainer of one adapter."""

    def __init__(self, adapter: GluonAdapter) -> None:
        self._adapter = adapter
        self._net = adapter._net
        self._classifier = adapter._classifier
        self._context = adapter._context
        self._names = list(layer_steps(adapter._setup.model))
        self._hybridizes = adapter._setup.mode == "compiled"
        self._examples = 0
        self._arrays = [
            parameter.data()
            for parameter in self._net.collect_params().values()
            if parameter.grad_req != "null"
        ]

    def forward(self, batches: Any) -> Any:
        """The (B, 10) logits, outside of ``autograd``."""
        ((images, _),) = batches
        return self._net(images)

    def forward_backward(self, batches: Any) -> None:
        """Each parameter's ``grad`` is that of the summed loss; a trainer's step divides it."""
        ((images, labels),) = batches
        with autograd.record():
            loss, _ = self._classifier(images, labels)
        loss.backward()
        self._examples = len(labels)

    def optimizer_step(self) -> None:
        """The parameters have moved by what their ``grad`` says."""
        # A trainer warns of gradients that it has used before, which takes longer than to say that
        # these are as good as new.
        for array in self._arrays:
            array._fresh_grad = True
        self._adapter._trainer.step(self._examples)

    def layer(self, name: str, inputs: NDArray[np.float32], *, backward: bool) -> Call:
        """A block of the net, or its activation, or the block without; see ``Pieces.layer``."""
        block = self._block(name)
        if self._hybridizes:
            block.hybridize(static_alloc=True, static_shape=True)
        first = name == self._names[0]
        values = self._on_device(inputs)
        if not backward:
            return lambda: block(values)
        if not first:
            values.attach_grad()
        parameters = [each for each in block.collect_params().values() if each.grad_req != "null"]
        gradients = [*([] if first else [values.grad]), *(each.grad() for each in parameters)]
        ones = nd.ones_like(block(values))

        def forward_backward() -> Any:
            with autograd.record():
                outputs = block(values)
            outputs.backward(ones)
            return gradients

        return forward_backward

    def matmul(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> Call:
        """``nd.dot``."""
        left, right = self._on_device(one), self._on_device(other)
        return lambda: nd.dot(left, right)

    def copy(self, array: NDArray[np.float32]) -> Call:
        """``NDArray.copyto`` an array that is there."""
        source = self._on_device(array)
        target = nd.zeros_like(source)
        return lambda: source.copyto(target)

    def on_host(self, array: Any) -> NDArray[Any]:
        """An array's values; MXNet's layout is the canonical one."""
        values: NDArray[Any] = array.asnumpy()
        return values

    def _on_device(self, array: NDArray[np.float32]) -> Any:
        return nd.from_numpy(array.copy()).as_in_context(self._context)

    def _block(self, name: str) -> Any:
        """The block that the canonical ``name`` means."""
        blocks = list(_elementary(self._net))
        if len(blocks) != len(self._names):
            raise ValueError(
                f"No layer {name!r} in gluon: {len(blocks)} blocks and activations, expected the "
                f"model's {len(self._names)} layers"
            )
        return blocks[self._names.index(name)]


def _elementary(block: Any) -> list[Any]:
    """The layers of ``block`` in order, an activation inside a layer as one of its own."""
    if isinstance(block, gluon.nn.HybridSequential):
        return [layer for child in block for layer in _elementary(child)]
    activation = getattr(block, "act", None)
    return [block] if activation is None else [_without_activation(block), activation]


def _without_activation(block: Any) -> Any:
    """A layer like ``block`` that shares its parameters and ends before its activation."""
    shared = {"prefix": block.prefix, "params": block.params}
    if isinstance(block, nn.Dense):
        return nn.Dense(block._units, flatten=block._flatten, in_units=block._in_units, **shared)
    if not isinstance(block, nn.Conv2D):
        raise ValueError(f"No gluon layer {type(block).__name__} without its activation")
    kwargs = block._kwargs
    return nn.Conv2D(
        kwargs["num_filter"],
        kernel_size=kwargs["kernel"],
        strides=kwargs["stride"],
        padding=kwargs["pad"],
        in_channels=block._in_channels,
        **shared,
    )
