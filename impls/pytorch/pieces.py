"""The parts of a PyTorch training step, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from impls.pieces import Call, Pieces, layer_steps
from impls.pytorch.adapter import PytorchAdapter


def create(adapter: PytorchAdapter) -> Pieces:
    """The pieces of ``adapter``, compiled where its steps are."""
    return PytorchPieces(adapter)


class PytorchPieces:
    """The model, loss and optimizer of one adapter."""

    def __init__(self, adapter: PytorchAdapter) -> None:
        self._model = adapter._model
        self._step = adapter._forward
        self._optimizer = adapter._optimizer
        self._device = adapter._device
        self._compiles = adapter._setup.mode == "compiled"
        self._names = list(layer_steps(adapter._setup.model))
        self._inference = (
            torch.compile(self._model, dynamic=False) if self._compiles else self._model
        )

    def forward(self, batches: Any) -> Any:
        """The (B, 10) logits, without a graph for gradients."""
        if self._model.training:  # to walk through all modules each time would be measured too
            self._model.eval()
        ((images, _),) = batches
        with torch.inference_mode():
            return self._inference(images)

    def forward_backward(self, batches: Any) -> None:
        """Each parameter's ``grad`` is that of the mean loss."""
        if not self._model.training:
            self._model.train()
        ((images, labels),) = batches
        self._optimizer.zero_grad(set_to_none=True)
        loss, _ = self._step(self._model, images, labels)
        loss.backward()

    def optimizer_step(self) -> None:
        """The parameters have moved by what their ``grad`` says."""
        self._optimizer.step()

    def layer(self, name: str, inputs: NDArray[np.float32], *, backward: bool) -> Call:
        """A leaf of the module tree; see ``Pieces.layer``."""
        module = self._module(name)
        layer = _compiled(module, name) if self._compiles else module
        first = name == self._names[0]
        values = torch.from_numpy(inputs).to(self._device)
        if values.ndim == 4:
            values = values.contiguous(memory_format=self._layout())

        def forward() -> Any:
            with torch.inference_mode():
                return layer(values)

        if not backward:
            module.eval()
            return forward
        module.train()
        values.requires_grad_(not first)
        by = [*([] if first else [values]), *module.parameters()]
        ones = torch.ones_like(layer(values))
        return lambda: torch.autograd.grad(layer(values), by, ones)

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
        """A tensor's values; PyTorch's layout is the canonical one."""
        values: NDArray[Any] = array.detach().cpu().numpy()
        return values

    def _module(self, name: str) -> Any:
        """The module that the canonical ``name`` means."""
        leaves = [module for module in self._model.modules() if not any(module.children())]
        if len(leaves) != len(self._names):
            raise ValueError(
                f"No layer {name!r} in pytorch: {len(leaves)} modules without children, expected "
                f"the model's {len(self._names)} layers"
            )
        return leaves[self._names.index(name)]

    def _layout(self) -> Any:
        """The memory format that the model's kernels have, and so what goes through it."""
        kernels = [each for each in self._model.parameters() if each.ndim == 4]
        channels_last = any(not kernel.is_contiguous() for kernel in kernels)
        return torch.channels_last if channels_last else torch.contiguous_format


def _compiled(module: Any, name: str) -> Any:
    """``module`` compiled in a frame of its own, which layers of one class would otherwise share.

    What is compiled is kept by code object, where it is looked up entry by entry, and PyTorch gives
    up after eight. ``isolate_recompiles=True`` does the same; older versions do not know it.
    https://docs.pytorch.org/devlogs/dynamo/2026-05-04-dynamo-isolate-recompiles/
    """

    def call(values: Any) -> Any:
        return module(values)

    call.__code__ = call.__code__.replace(co_name=f"{name}_{id(call)}")
    return torch.compile(call, dynamic=False)
