"""The oracle: models computed from their tables in NumPy float64, behind the ``Adapter``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impls.adapter import Adapter, Metrics, Setup, Weights
from impls.reference.layers import Array, Backward, chain, softmax_cross_entropy
from impls.reference.optimizers import new_optimizer

DTYPE = np.dtype(np.float64)
"""Everything is computed in this type; layers and optimizers follow the arrays that they get."""

Batch = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Images (B, C, H, W) and labels (B,) of one step."""


def create(setup: Setup) -> Adapter:
    """The adapter of ``setup``'s model, all weights 0.

    ``setup.threads`` is left to the linear-algebra library that NumPy came with: it reads its
    environment variables once, before NumPy is imported.

    Raises ``ValueError``: unknown mode or device.
    """
    if setup.mode != "eager":
        raise ValueError(f"No reference mode {setup.mode!r}: expected eager")
    if setup.device != "cpu":
        raise ValueError(f"No reference device {setup.device!r}: expected cpu")
    return ReferenceAdapter(setup)


class ReferenceAdapter:
    """One model, its optimizer and its sums in host memory."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._weights = {
            name: np.zeros(shape, DTYPE) for name, shape in setup.model.parameter_shapes().items()
        }
        self._optimizer = new_optimizer(setup)
        self._metrics = Metrics(0.0, 0, 0)

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0."""
        self._weights = {name: np.array(weights[name], DTYPE) for name in self._weights}
        self._optimizer = new_optimizer(self._setup)
        self._metrics = Metrics(0.0, 0, 0)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → float64 array, a copy."""
        return {name: array.copy() for name, array in self._weights.items()}

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> list[Batch]:
        """The arrays themselves, one pair per step."""
        return list(zip(images, labels, strict=True))

    def train(self, batches: Iterable[Batch]) -> None:
        """One optimizer step per pair has been taken, and its loss and hits are added up."""
        for images, labels in batches:
            logits, backward = self._forward(images)
            metrics, by_logits = _metrics(logits, labels)
            _, gradients = backward(by_logits)
            self._optimizer.step(self._weights, gradients)
            self._metrics = _sum(self._metrics, metrics)

    def synchronize(self) -> None:
        """All work is finished: NumPy returns only then."""

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        metrics, self._metrics = self._metrics, Metrics(0.0, 0, 0)
        return metrics

    def evaluate(self, batches: Iterable[Batch]) -> Metrics:
        """Loss and accuracy over the staged pairs in inference mode."""
        total = Metrics(0.0, 0, 0)
        for images, labels in batches:
            total = _sum(total, _metrics(self.logits(images), labels)[0])
        return total

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, 10) float64 logits of (B, C, H, W) images in inference mode."""
        return self._forward(images)[0]

    def device(self) -> str:
        """``cpu``: NumPy knows no other."""
        return "cpu"

    def _forward(self, images: NDArray[np.float32]) -> tuple[Array, Backward]:
        """(B, 10) logits, and the way from their gradient to that of every parameter."""
        return chain(self._setup.model.layers, images.astype(DTYPE), self._weights)


def _metrics(logits: Array, labels: NDArray[np.int64]) -> tuple[Metrics, Array]:
    """One batch's sums, and the gradient of its mean loss by the logits."""
    losses, by_logits = softmax_cross_entropy(logits, labels)
    correct = np.count_nonzero(logits.argmax(axis=1) == labels)
    return Metrics(float(losses.sum()), int(correct), len(labels)), by_logits


def _sum(one: Metrics, other: Metrics) -> Metrics:
    """The sums of both together."""
    return Metrics(
        loss_sum=one.loss_sum + other.loss_sum,
        correct=one.correct + other.correct,
        examples=one.examples + other.examples,
    )
