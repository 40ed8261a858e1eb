"""PyTorch behind the suite's ``Adapter``.

Tried on LeNet, batch 256, 2 threads, windows of 20 steps in turns (2-core Xeon virtual machine,
CPU; median ratio of rates, above 1 is faster than what is used here; the same against itself came
out at 0.99):

* the default memory format instead of ``channels_last``: eager 0.88 to 0.91, compiled 0.96 to 1.00
* compiled instead of eager: 0.92 to 0.96 with SGD, 0.88 with Adam. Convolutions are the same, and
  the kernels that inductor makes for max-pooling and sigmoid are slower than PyTorch's own
* compiled, the model alone instead of the forward pass with its loss: 1.00; the optimizer too:
  1.01; the whole step: 1.01 to 1.02; ``mode="max-autotune-no-cudagraphs"``: 0.99 to 1.02
* optimizers ``fused=True`` against the default (``foreach``): SGD 0.99 to 1.01, Adam 1.01
* oneDNN off: 0.30
* no loss sum and no hits: 1.04 to 1.06, in the default memory format

The first compiled step takes 36 s with an empty cache (PyTorch's headers are compiled first, once),
5 to 14 s with a model that is new to the cache, 2 s from the cache; a further batch size likewise.

A process's first optimizer imports ``torch._dynamo``, and SymPy with it (893 modules): 0.8 s in a
plain script of three lines, beside 1.0 to 1.3 s for ``import torch``. Users wait for that too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from impls.adapter import (
    Adam,
    LayerLine,
    LoadedBatch,
    LoaderKind,
    LoadingAdapter,
    Metrics,
    Setup,
    Weights,
)
from impls.pytorch.loader import endless_batches
from impls.pytorch.machine import (
    device_named,
    peak_memory_bytes,
    places,
    require_compiler,
    set_matched,
)
from impls.pytorch.models import MODELS


def create(setup: Setup) -> LoadingAdapter:
    """The adapter of ``setup``'s model on its device, with PyTorch set to its threads.

    Raises ``ValueError``: unknown model or mode, a device that is not there, no compiler.
    """
    if setup.model.name not in MODELS:
        raise ValueError(
            f"No pytorch model {setup.model.name!r}: expected one of {', '.join(MODELS)}"
        )
    if setup.mode not in ("eager", "compiled"):
        raise ValueError(f"No pytorch mode {setup.mode!r}: expected eager or compiled")
    device = device_named(setup.device)
    if setup.mode == "compiled":
        require_compiler(device)
    set_matched(setup.threads)
    return PytorchAdapter(setup, device)


class PytorchAdapter:
    """A PyTorch model, its optimizer and its sums on one device."""

    def __init__(self, setup: Setup, device: Any) -> None:
        self._setup = setup
        self._device = device
        self._dtype = getattr(torch, setup.precision)
        self._model = MODELS[setup.model.name]().to(device, self._dtype)
        if not setup.dropout:
            for module in self._model.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.0
        if device.type == "cpu":
            # In the default layout max-pooling isn't vectorized on a CPU.
            # https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html
            self._model = self._model.to(memory_format=torch.channels_last)
        self._optimizer = _optimizer(setup, self._model.parameters())
        # float64, as a float32 sum over an epoch would be off in the sixth digit.
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._examples = 0
        self._loaded: Iterator[tuple[Any, Any]] = iter(())
        self._forward = _forward
        if setup.mode == "compiled":
            self._forward = _compiled_forward(device)

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0.

        Dropout masks start again from ``Setup.seed``.
        """
        self._model.load_state_dict(
            {name: torch.from_numpy(np.array(w)) for name, w in weights.items()}
        )
        torch.manual_seed(self._setup.seed)
        # In place: a new optimizer, or new state tensors, would be compiled anew.
        for state in self._optimizer.state.values():
            for value in state.values():
                if torch.is_tensor(value):
                    value.zero_()
        self.take_metrics()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → array of the setup's precision on the host, a copy."""
        state = self._model.state_dict()
        # PyTorch also counts batches, for running statistics without a momentum.
        return {
            name: tensor.cpu().numpy().copy()
            for name, tensor in state.items()
            if not name.endswith("num_batches_tracked")
        }

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """A list of (images, labels) tensors on the device, one pair per step."""
        return list(
            zip(
                torch.from_numpy(images).to(self._device, self._dtype).unbind(),
                torch.from_numpy(labels).to(self._device).unbind(),
                strict=True,
            )
        )

    def train(self, batches: Any) -> None:
        """One optimizer step per pair has been issued, and its loss and hits are added up."""
        self._model.train()
        for images, labels in batches:
            self._step(images, labels)

    def open_loader(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        workers: int,
        kind: LoaderKind,
    ) -> None:
        """A ``DataLoader`` is set up over (N, H, W) images and (N,) labels; see loader.py."""
        self._loaded = endless_batches(images, labels, self._setup, workers, kind, self._device)

    def train_from_loader(self, steps: int) -> None:
        """One optimizer step for each of the loader's next ``steps`` batches has been issued."""
        self._model.train()
        for images, labels in islice(self._loaded, steps):
            self._step(images.to(self._device, self._dtype), labels.to(self._device))

    def loaded_batches(self, count: int) -> Iterator[LoadedBatch]:
        """The loader's next ``count`` batches on the host, in place of being trained on."""
        for images, labels in islice(self._loaded, count):
            yield LoadedBatch(images.cpu().numpy(), labels.cpu().numpy())

    def _step(self, images: Any, labels: Any) -> None:
        """One optimizer step has been issued, and its loss and hits are added up."""
        self._optimizer.zero_grad(set_to_none=True)
        loss, correct = self._forward(self._model, images, labels)
        loss.backward()
        self._optimizer.step()
        self._loss_sum.add_(loss.detach(), alpha=len(labels))
        self._correct.add_(correct)
        self._examples += len(labels)

    def synchronize(self) -> None:
        """All work issued so far is finished, in all of a GPU's streams; on a CPU it always is."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        metrics = Metrics(self._loss_sum.item(), int(self._correct.item()), self._examples)
        self._loss_sum.zero_()
        self._correct.zero_()
        self._examples = 0
        return metrics

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy over the staged pairs in inference mode, never compiled."""
        # Eager in both modes: each batch size would be compiled once more, for one pass over it.
        self._model.eval()
        outputs = []
        with torch.inference_mode():
            for images, labels in batches:
                loss, correct = _forward(self._model, images, labels)
                outputs.append((loss.double() * len(labels), correct, len(labels)))
        loss_sum, hits, examples = (sum(column) for column in zip(*outputs, strict=True))
        return Metrics(float(loss_sum), int(hits), int(examples))

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, 10) logits of (B, C, H, W) images in inference mode, on the host."""
        self._model.eval()
        with torch.inference_mode():
            logits = self._model(torch.from_numpy(images).to(self._device, self._dtype))
        array: NDArray[Any] = logits.cpu().numpy()
        return array

    def device(self) -> str:
        """``cpu`` or ``gpu:N``, asked of every parameter."""
        return places(self._model.parameters())

    def result_device(self) -> str:
        """Likewise, asked of the gradients that the latest step left; empty before the first."""
        return places(p.grad for p in self._model.parameters() if p.grad is not None)

    def peak_device_memory_bytes(self) -> int | None:
        """The most that tensors took of the GPU at once; None on a CPU."""
        return peak_memory_bytes(self._device)

    def layers(self) -> list[LayerLine]:
        """Modules without children, in the order in which one image of zeros meets them."""
        lines: list[LayerLine] = []
        names = {module: name for name, module in self._model.named_modules()}

        def note(module: Any, _inputs: Any, output: Any) -> None:
            parameters = sum(parameter.numel() for parameter in module.parameters())
            name = names[module] if parameters else ""
            shape = tuple(output.shape[1:])
            lines.append(LayerLine(name, type(module).__name__, shape, parameters))

        leaves = [module for module in names if not any(module.children())]
        hooks = [module.register_forward_hook(note) for module in leaves]
        self.logits(np.zeros((1, *self._setup.model.input_shape), np.float32))
        for hook in hooks:
            hook.remove()
        return lines


def _forward(model: Any, images: Any, labels: Any) -> tuple[Any, Any]:
    """Mean loss and number of hits of one batch, as scalars on the device."""
    logits = model(images)
    loss = functional.cross_entropy(logits, labels)
    correct = (logits.detach().argmax(dim=1) == labels).sum()
    return loss, correct


def _compiled_forward(device: Any) -> Any:
    """``_forward`` compiled for ``device``: on a GPU as CUDA graphs, recorded once and replayed.

    A batch of another size is compiled once more, instead of all being made dynamic.
    """
    if device.type == "cpu":
        return torch.compile(_forward, dynamic=False)
    replayed = torch.compile(_forward, dynamic=False, mode="reduce-overhead")

    def forward(model: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        """As ``_forward``, into memory of the graph's own that the next call overwrites.

        By then ``_step`` has added up loss and hits and dropped the gradients, which lie there too.
        https://docs.pytorch.org/docs/stable/user_guide/torch_compiler/torch.compiler_cudagraph_trees.html
        """
        torch.compiler.cudagraph_mark_step_begin()
        loss, correct = replayed(model, images, labels)
        return loss, correct

    return forward


def _optimizer(setup: Setup, parameters: Any) -> Any:
    """The recipe's optimizer with every constant given."""
    recipe = setup.optimizer
    if isinstance(recipe, Adam):
        return torch.optim.Adam(
            parameters,
            lr=recipe.learning_rate,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.epsilon,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
            fused=True,
        )
    return torch.optim.SGD(
        parameters,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        dampening=0.0,
        weight_decay=0.0,
        nesterov=False,
        maximize=False,
        fused=True,
    )
