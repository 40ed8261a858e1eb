"""Plain NumPy behind the suite's ``Adapter``; see ``impls/adapter.py`` for what that promises."""

from __future__ import annotations

import numpy as np
from implementation.models import MODELS

from impls.adapter import Adam, LayerLine, Metrics


def create(setup):
    """The adapter of ``setup``'s model.

    Raises ``ValueError``: a model, mode or device that there is not.
    """
    for what, got, known in (
        ("model", setup.model.name, [*MODELS]),
        ("mode", setup.mode, ["eager"]),
        ("device", setup.device, ["cpu"]),
        ("precision", setup.precision, ["float32"]),
    ):
        if got not in known:
            raise ValueError(f"No plain_numpy {what} {got!r}: expected one of {', '.join(known)}")
    return PlainNumpyAdapter(setup)


class PlainNumpyAdapter:
    """One model, its optimizer and its sums."""

    def __init__(self, setup):
        self._recipe = setup.optimizer
        self._input_shape = setup.model.input_shape
        self._model = MODELS[setup.model.name]()
        self._parameters = {
            f"{name}.{role}": array
            for name, layer in self._model.items()
            for role, array in layer.parameters.items()
        }
        self._optimizer = new_optimizer(self._recipe)
        self._metrics = Metrics(0.0, 0, 0)

    def load_weights(self, weights):
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0."""
        for name, array in self._parameters.items():
            array[...] = weights[name]
        self._optimizer = new_optimizer(self._recipe)
        self._metrics = Metrics(0.0, 0, 0)

    def weights(self):
        """Canonical name → float32 array, a copy: training goes on."""
        return {name: array.copy() for name, array in self._parameters.items()}

    def stage(self, images, labels):
        """One pair (images, labels) a step: host memory is where NumPy computes."""
        return list(zip(images, labels, strict=True))

    def train(self, batches):
        """One optimizer step for each pair; its loss and hits are added up."""
        for images, labels in batches:
            metrics, gradient = loss(self._forward(images), labels)
            for layer in reversed(self._model.values()):
                gradient = layer.backward(gradient)
            gradients = {
                f"{name}.{role}": array
                for name, layer in self._model.items()
                for role, array in layer.gradients.items()
            }
            self._optimizer.step(self._parameters, gradients)
            self._metrics = added(self._metrics, metrics)

    def synchronize(self):
        """All work is finished: NumPy returns only then."""

    def take_metrics(self):
        """The sums since the last call; they start again at 0."""
        metrics, self._metrics = self._metrics, Metrics(0.0, 0, 0)
        return metrics

    def evaluate(self, batches):
        """Loss and hits of the pairs; weights stay as they are."""
        total = Metrics(0.0, 0, 0)
        for images, labels in batches:
            total = added(total, loss(self._forward(images), labels)[0])
        return total

    def logits(self, images):
        """(B, C, H, W) images in, (B, 10) logits out."""
        return self._forward(images)

    def device(self):
        """NumPy knows no other."""
        return "cpu"

    def result_device(self):
        """Likewise."""
        return "cpu"

    def peak_device_memory_bytes(self):
        """There is no GPU."""
        return None

    def layers(self):
        """Each layer with the shape of what really came out of it."""
        lines = []
        outputs = np.zeros((1, *self._input_shape), np.float32)
        for name, layer in self._model.items():
            outputs = layer.forward(outputs)
            count = sum(array.size for array in layer.parameters.values())
            canonical = name if count else ""
            lines.append(LayerLine(canonical, type(layer).__name__, outputs.shape[1:], count))
        return lines

    def _forward(self, images):
        for layer in self._model.values():
            images = layer.forward(images)
        return images


def loss(logits, labels):
    """The batch's sums, and the gradient of its mean softmax cross-entropy by the logits."""
    examples = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    gradient = np.exp(logarithms)
    gradient[examples, labels] -= 1
    loss_sum = -logarithms[examples, labels].sum(dtype=np.float64)
    correct = np.count_nonzero(logits.argmax(axis=1) == labels)
    return Metrics(float(loss_sum), int(correct), len(labels)), gradient / len(labels)


def added(one, other):
    """The sums of both."""
    return Metrics(*(a + b for a, b in zip(one, other, strict=True)))


def new_optimizer(recipe):
    """What takes the recipe's steps, with every constant given."""
    return AdamRule(recipe) if isinstance(recipe, Adam) else SgdRule(recipe)


class SgdRule:
    """b ← μ·b + g, w ← w − rate·b: the formula "rate-outside"."""

    def __init__(self, recipe):
        self._recipe = recipe
        self._buffers = {}

    def step(self, parameters, gradients):
        """All ``parameters`` have been changed in place."""
        for name, gradient in gradients.items():
            buffer = self._recipe.momentum * self._buffers.get(name, 0) + gradient
            self._buffers[name] = buffer
            parameters[name] -= self._recipe.learning_rate * buffer


class AdamRule:
    """w ← w − rate · m̂ ÷ (√v̂ + ε): the formula "epsilon"."""

    def __init__(self, recipe):
        self._recipe = recipe
        self._steps = 0
        self._means = {}
        self._squares = {}

    def step(self, parameters, gradients):
        """All ``parameters`` have been changed in place."""
        beta1, beta2 = self._recipe.beta1, self._recipe.beta2
        self._steps += 1
        rate, epsilon = self._recipe.learning_rate, self._recipe.epsilon
        for name, gradient in gradients.items():
            mean = beta1 * self._means.get(name, 0) + (1 - beta1) * gradient
            square = beta2 * self._squares.get(name, 0) + (1 - beta2) * gradient**2
            self._means[name], self._squares[name] = mean, square
            corrected = mean / (1 - beta1**self._steps)
            root = np.sqrt(square / (1 - beta2**self._steps))
            parameters[name] -= rate * corrected / (root + epsilon)
