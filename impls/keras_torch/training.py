"""How a Keras model is trained on PyTorch: by a loop around autograd, or by ``Model.fit``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import keras
import torch

from impls.adapter import Metrics
from impls.keras.fit import Fit
from impls.keras.network import Network

Batch = tuple[Any, Any]
"""Tensors on the device: images (B, H, W, C) and labels (B,)."""


class Training(Protocol):
    """Trains one network, and evaluates it in the same way of execution."""

    def train(self, batches: Iterable[Batch], steps: int) -> None:
        """One optimizer step for each of the ``steps`` batches has been issued, and its loss and
        hits are added up."""

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""

    def evaluate(self, batches: Sequence[Batch]) -> Metrics:
        """Loss and hits of the batches in inference mode."""

    def logits(self, images: Any) -> Any:
        """(B, 10) array for (B, H, W, C) images, in inference mode, on the host."""


class WrittenTraining:
    """Mode eager: steps written out.

    https://keras.io/guides/writing_a_custom_training_loop_in_torch/
    """

    def __init__(self, network: Network, device: Any) -> None:
        self._model, self._optimizer = network.model, network.optimizer
        self._variables = self._model.trainable_variables
        self._loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        # float64, as a float32 sum over an epoch would be off in the sixth digit.
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._examples = 0

    def train(self, batches: Iterable[Batch], steps: int) -> None:
        """One optimizer step for each of the ``steps`` batches has been issued, and its loss and
        hits are added up."""
        for images, labels in batches:
            self._step(images, labels)

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        metrics = Metrics(self._loss_sum.item(), int(self._correct.item()), self._examples)
        self._loss_sum.zero_()
        self._correct.zero_()
        self._examples = 0
        return metrics

    def evaluate(self, batches: Sequence[Batch]) -> Metrics:
        """Loss and hits of the batches in inference mode."""
        outputs = []
        with torch.no_grad():
            for images, labels in batches:
                logits = self._model(images, training=False)
                loss_sum = self._loss(labels, logits).double() * len(labels)
                outputs.append((loss_sum, _hits(logits, labels), len(labels)))
        loss_sum, hits, examples = (sum(column) for column in zip(*outputs, strict=True))
        return Metrics(float(loss_sum), int(hits), int(examples))

    def logits(self, images: Any) -> Any:
        """(B, 10) array for (B, H, W, C) images, in inference mode, on the host."""
        with torch.no_grad():
            return self._model(images, training=False).cpu().numpy()

    def differentiate(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Each variable's ``grad`` is that of the mean loss, which comes back with the logits."""
        self._model.zero_grad()
        logits = self._model(images, training=True)
        loss = self._loss(labels, logits)
        loss.backward()
        return loss.detach(), logits.detach()

    def update(self) -> None:
        """The optimizer has taken a step by the gradients that there are."""
        gradients = [variable.value.grad for variable in self._variables]
        with torch.no_grad():
            self._optimizer.apply(gradients, self._variables)

    def _step(self, images: Any, labels: Any) -> None:
        loss, logits = self.differentiate(images, labels)
        self.update()
        self._loss_sum.add_(loss, alpha=len(labels))
        self._correct.add_(_hits(logits, labels))
        self._examples += len(labels)


class FitTraining:
    """``Model.fit`` and ``Model.evaluate``: mode fit. Each call is one epoch over its batches."""

    def __init__(self, network: Network) -> None:
        # torch.compile is left to PyTorch's own implementation.
        self._fit = Fit(network.model, network.optimizer, jit_compile=False)

    def train(self, batches: Iterable[Batch], steps: int) -> None:
        """One optimizer step for each of the ``steps`` batches has been taken by one call."""
        self._fit.train_on_pairs(batches, steps)

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        return self._fit.take_metrics()

    def evaluate(self, batches: Sequence[Batch]) -> Metrics:
        """Loss and hits of the batches in inference mode."""
        return self._fit.evaluate_pairs(batches)

    def logits(self, images: Any) -> Any:
        """(B, 10) array for (B, H, W, C) images, in inference mode, on the host."""
        return self._fit.logits(images)


def _hits(logits: Any, labels: Any) -> Any:
    """The number of examples whose largest logit is the label's."""
    return (logits.argmax(dim=1) == labels).sum()
