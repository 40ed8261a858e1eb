"""The parts of a training step, one by one, for the micro-benchmarks of ``benchmarks/micro``.

Optional: an implementation that offers them has a ``pieces.py`` with
``create(adapter: Adapter) -> Pieces``, for an adapter of its own. What it hands out are the model,
the loss and the optimizer of that adapter, executed in that adapter's mode: what is measured is
what trains. Without it, what an ``Adapter`` alone can show is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from impls.definition import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    DenseConnection,
    GlobalAveragePool,
    MaxPool,
    Model,
    Relu,
    Residual,
    Sigmoid,
    Step,
)

Call = Callable[[], Any]
"""Does its work each time, perhaps asynchronously, and returns what came out, on the device."""

POOLS = (MaxPool, AveragePool, GlobalAveragePool)
MEASURED = (Conv, Dense, Sigmoid, Relu, BatchNorm, *POOLS)
"""Layers that do some work of their own: flattening is a matter of shapes."""


class Pieces(Protocol):
    """What one adapter's training step is made of.

    As with an adapter, work may be asynchronous: its ``synchronize`` waits for it. ``batches`` is
    what its ``stage`` gave for one batch of B examples.
    """

    def forward(self, batches: Any) -> Any:
        """The (B, 10) logits in inference mode, on the device, as the mode executes a model."""

    def forward_backward(self, batches: Any) -> None:
        """Loss and gradients are as ``Adapter.train`` computes them; the weights stay as they are.

        The gradients are kept for ``optimizer_step``.
        """

    def optimizer_step(self) -> None:
        """One update by the gradients of the last ``forward_backward`` has been issued.

        Called again, it makes the same gradients' next update.
        """

    def layer(self, name: str, inputs: NDArray[np.float32], *, backward: bool) -> Call:
        """One layer of the live model, with its weights, on inputs that lie on the device.

        Without ``backward`` the call returns the layer's outputs in inference mode. With it, a
        forward pass in training mode is followed by the backward pass from a gradient of ones; it
        returns the gradients by the inputs (left out for the model's first layer, which sees
        images) and by the layer's parameters, in their order, as a sequence.

        Args:
            name: One of ``layer_steps``.
            inputs: (B, C, H, W) or (B, features), the canonical layout.
            backward: Whether the backward pass follows.

        Raises:
            ValueError: the framework has no such layer of its own.
        """

    def matmul(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> Call:
        """The product of two square matrices that lie on the device."""

    def copy(self, array: NDArray[np.float32]) -> Call:
        """Each value of an array that lies on the device is in another place on it."""

    def on_host(self, array: Any) -> NDArray[Any]:
        """What came out of a call; of four dimensions, in the canonical (B, C, H, W)."""


def layer_steps(model: Model) -> dict[str, Step]:
    """Name → layer of a chain, in the order of the forward pass; empty for other models.

    Convolutions, dense layers and BatchNorm have names of their own; the others are called by kind
    and number: ``sigmoid1``, ``pool2``.
    """
    steps = list(model.steps())
    if any(isinstance(step.layer, Residual | DenseConnection) for step in steps):
        return {}
    named: dict[str, Step] = {}
    counts: dict[str, int] = {}
    for step in steps:
        name = getattr(step.layer, "name", "")
        if not name:
            kind = "pool" if isinstance(step.layer, POOLS) else type(step.layer).__name__.lower()
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}{counts[kind]}"
        named[name] = step
    return named


def measured_layers(model: Model) -> dict[str, Step]:
    """Those of ``layer_steps`` that are worth measuring."""
    return {
        name: step for name, step in layer_steps(model).items() if isinstance(step.layer, MEASURED)
    }
