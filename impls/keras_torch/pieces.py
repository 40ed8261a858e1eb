"""The parts of a Keras training step on PyTorch, one by one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
from numpy.typing import NDArray

from impls.keras.layers import layer_named
from impls.keras_torch.adapter import KerasTorchAdapter
from impls.keras_torch.training import WrittenTraining
from impls.pieces import Call, Pieces, layer_steps


def create(adapter: KerasTorchAdapter) -> Pieces:
    """The pieces of ``adapter``.

    Raises ``ValueError``: mode fit, whose step is inside ``Model.fit`` and has no parts to be had.
    """
    if not isinstance(adapter._training, WrittenTraining):
        raise ValueError(
            "keras_torch has no pieces in mode fit: Model.fit takes its step as a whole"
        )
    return KerasTorchPieces(adapter, adapter._training)


class KerasTorchPieces:
    """The model, loss and optimizer of one adapter."""

    def __init__(self, adapter: KerasTorchAdapter, training: WrittenTraining) -> None:
        self._training = training
        self._model = adapter._network.model
        self._device = adapter._device
        self._names = list(layer_steps(adapter._setup.model))

    def forward(self, batches: Any) -> Any:
        """The (B, 10) logits of the model called with ``training=False``."""
        ((images, _),) = batches
        with torch.no_grad():
            return self._model(images, training=False)

    def forward_backward(self, batches: Any) -> None:
        """Each parameter's ``grad`` is that of the mean loss."""
        ((images, labels),) = batches
        self._training.differentiate(images, labels)

    def optimizer_step(self) -> None:
        """The variables have moved by what ``Optimizer.apply`` makes of the gradients."""
        self._training.update()

    def layer(self, name: str, inputs: NDArray[np.float32], *, backward: bool) -> Call:
        """A Keras layer, or its activation, or the layer without; see ``Pieces.layer``."""
        with keras.device(str(self._device)), torch.no_grad():
            layer = layer_named(self._model, name, self._names)
        values = torch.from_numpy(inputs).to(self._device)
        if values.ndim == 4:
            values = values.movedim(1, 3).contiguous()

        def forward() -> Any:
            with torch.no_grad():
                return layer(values, training=False)

        if not backward:
            return forward
        first = name == self._names[0]
        values.requires_grad_(not first)
        weights = [variable.value for variable in layer.trainable_variables]
        by = [*([] if first else [values]), *weights]
        ones = torch.ones_like(layer(values, training=True))
        return lambda: torch.autograd.grad(layer(values, training=True), by, ones)

    def matmul(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> Call:
        """``torch.matmul``, in full float32."""
        left, right = (torch.from_numpy(array).to(self._device) for array in (one, other))
        return lambda: left @ right

    def copy(self, array: NDArray[np.float32]) -> Call:
        """``Tensor.copy_`` into a tensor that is there."""
        source = torch.from_numpy(array).to(self._device)
        target = torch.empty_like(source)
        return lambda: target.copy_(source)

    def on_host(self, array: Any) -> NDArray[Any]:
        """A tensor's values, from (B, H, W, C) to (B, C, H, W) where it has four dimensions."""
        values: NDArray[Any] = array.detach().cpu().numpy()
        return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
