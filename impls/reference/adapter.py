"""The oracle: models computed from their tables in NumPy, behind the ``Adapter``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impls.adapter import Adapter, LayerLine, Metrics, Setup, Weights
from impls.definition import (
    BatchNorm,
    Dropout,
    Layer,
    Model,
    Shape,
    Step,
    elementary_steps,
)
from impls.reference.layers import chain, softmax_cross_entropy
from impls.reference.optimizers import new_optimizer
from impls.reference.passes import Arithmetic, Array, Context, Forward

FLOAT32 = np.dtype("f4")
ARITHMETICS: dict[str, Arithmetic] = {
    "eager": Arithmetic(),
    "float32": Arithmetic(FLOAT32),
    "float32-one-by-one": Arithmetic(FLOAT32, one_by_one=True),
    "shaken-1": Arithmetic(salt=1),
    "shaken-2": Arithmetic(salt=2),
    "one-by-one": Arithmetic(one_by_one=True),
    "shaken-float64": Arithmetic(salt=3, rounding=2.0**-53),
}
"""Mode → how it rounds. ``eager`` is the oracle; the others show what rounding alone does to it."""

IMAGES_AT_ONCE = 192
"""In ``training_losses``: a few hundred megabytes of a large network's activations."""

Batch = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Images (B, C, H, W) and labels (B,) of one step."""


def create(setup: Setup) -> Adapter:
    """The adapter of ``setup``'s model, all weights 0.

    ``setup.threads`` is left to the linear-algebra library that NumPy came with: it reads its
    environment variables once, before NumPy is imported.

    Raises ``ValueError``: unknown mode or device.
    """
    if setup.mode not in ARITHMETICS:
        raise ValueError(f"No reference mode {setup.mode!r}: expected {' or '.join(ARITHMETICS)}")
    if setup.device != "cpu":
        raise ValueError(f"No reference device {setup.device!r}: expected cpu")
    return ReferenceAdapter(setup)


class ReferenceAdapter:
    """One model, its optimizer and its sums in host memory."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._arithmetic = ARITHMETICS[setup.mode]
        self._dtype = self._arithmetic.dtype
        self.load_weights(
            {name: np.zeros(shape) for name, shape in setup.model.weight_shapes().items()}
        )

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0.

        Dropout masks start again from ``Setup.seed``.
        """
        self._weights = {
            name: np.array(weights[name], self._dtype) for name in self._setup.model.weight_shapes()
        }
        self._optimizer = new_optimizer(self._setup)
        self._masks = np.random.default_rng(self._setup.seed) if self._setup.dropout else None
        self._metrics = Metrics(0.0, 0, 0)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → array in the mode's dtype, a copy."""
        return {name: array.copy() for name, array in self._weights.items()}

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> list[Batch]:
        """The arrays themselves, one pair per step."""
        return list(zip(images, labels, strict=True))

    def train(self, batches: Iterable[Batch]) -> None:
        """One optimizer step per pair has been taken, and its loss and hits are added up."""
        for images, labels in batches:
            logits, backward, statistics = self._forward(images, training=True)
            metrics, by_logits = _metrics(logits, labels)
            _, gradients = backward(by_logits)
            self._optimizer.step(self._weights, gradients)
            self._weights.update(statistics)
            self._metrics = _sum(self._metrics, metrics)

    def training_losses(
        self, images: NDArray[np.float32], labels: NDArray[np.int64], draws: int
    ) -> NDArray[Any]:
        """(draws,): mean losses of (B, C, H, W) images, each under dropout masks of its own.

        As ``draws`` training steps with a rate of 0 would give them. What comes before the first
        dropout is the same in all, and computed once.
        """
        context = Context(self._weights, True, self._masks, self._setup.variance_formula)
        before, behind = _split_at_dropout(self._setup.model)
        inputs = chain(before, images.astype(self._dtype), context).outputs
        at_once = 1 if _normalizes(self._setup.model) else max(1, IMAGES_AT_ONCE // len(images))
        losses: list[NDArray[Any]] = []
        for start in range(0, draws, at_once):
            times = min(at_once, draws - start)
            repeated = np.tile(inputs, (times, *[1] * (inputs.ndim - 1)))
            logits = chain(behind, repeated, context).outputs
            of_images, _ = softmax_cross_entropy(logits, np.tile(labels, times))
            losses.append(of_images.reshape(times, -1).mean(axis=1))
        return np.concatenate(losses)

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
        """(B, 10) logits of (B, C, H, W) images in inference mode, in the mode's dtype."""
        return self._forward(images, training=False).outputs

    def device(self) -> str:
        """``cpu``: NumPy knows no other."""
        return "cpu"

    def result_device(self) -> str:
        """Likewise."""
        return "cpu"

    def peak_device_memory_bytes(self) -> int | None:
        """None: there is no GPU."""
        return None

    def layers(self) -> list[LayerLine]:
        """The layers of the table that is computed, as it calls them."""
        lines = []
        for layer, shape, output_shape in self._setup.model.elementary_steps():
            parameters = [self._weights[name].size for name in layer.parameter_shapes(shape)]
            name = getattr(layer, "name", "")
            lines.append(LayerLine(name, type(layer).__name__, output_shape, sum(parameters)))
        return lines

    def _forward(self, images: NDArray[np.float32], *, training: bool) -> Forward:
        """(B, 10) logits, and what training goes on with."""
        shaken = self._arithmetic.shaken
        context = Context(
            {name: shaken(array) for name, array in self._weights.items()},
            training,
            self._masks,
            self._setup.variance_formula,
            self._arithmetic,
        )
        return chain(self._setup.model.layers, shaken(images.astype(self._dtype)), context)


def _split_at_dropout(model: Model) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """The layers before the first that drops anything, and the rest."""
    for place, step in enumerate(model.steps()):
        if any(isinstance(one.layer, Dropout) for one in elementary_steps(*_alone(step))):
            return model.layers[:place], model.layers[place:]
    return model.layers, ()


def _alone(step: Step) -> tuple[tuple[Layer, ...], Shape]:
    """A chain of that layer alone, and the shape that it is fed with."""
    return (step.layer,), step.input_shape


def _normalizes(model: Model) -> bool:
    """Whether an image's loss depends on what else is in its batch."""
    return any(isinstance(step.layer, BatchNorm) for step in model.elementary_steps())


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
