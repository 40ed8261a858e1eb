"""Every layer of ``impls/definition.py`` in NumPy, forward and backward.

A layer is a function that returns its outputs together with the function that takes a gradient
back through it (reverse-mode differentiation: Griewank and Walther, Evaluating Derivatives, 2008,
chapter 3), and the running statistics that it moved. A new layer is one such function and one
``case`` in ``forward``; one made of others, such as ``residual``, calls ``chain`` for its inside.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from impls.definition import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    DenseConnection,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Relu,
    Residual,
    Sigmoid,
)
from impls.reference.normalization import batch_norm
from impls.reference.passes import Array, Backward, Context, Forward, Gradients
from impls.reference.windows import average_pool, conv, global_average_pool, max_pool


def forward(layer: Layer, inputs: Array, context: Context) -> Forward:
    """What ``layer`` makes of a batch of ``inputs``."""
    match layer:
        case Conv():
            return conv(layer, inputs, context)
        case MaxPool():
            return max_pool(layer, inputs)
        case AveragePool():
            return average_pool(layer, inputs)
        case GlobalAveragePool():
            return global_average_pool(inputs)
        case Sigmoid():
            return sigmoid(inputs)
        case Relu():
            return relu(inputs)
        case Dropout():
            return dropout(layer, inputs, context)
        case BatchNorm():
            return batch_norm(layer, inputs, context)
        case Flatten():
            return flatten(inputs)
        case Dense():
            return dense(layer, inputs, context)
        case Residual():
            return residual(layer, inputs, context)
        case DenseConnection():
            return dense_connection(layer, inputs, context)


def chain(layers: Iterable[Layer], inputs: Array, context: Context) -> Forward:
    """What ``layers`` make of ``inputs``, each fed with what comes out of the one before."""
    steps_back: list[Backward] = []
    statistics: dict[str, Array] = {}
    for layer in layers:
        outputs, step_back, moved = forward(layer, inputs, context)
        inputs = context.arithmetic.shaken(outputs)
        steps_back.append(step_back)
        statistics.update(moved)

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        gradients: Gradients = {}
        for step_back in reversed(steps_back):
            gradient, of_parameters = step_back(context.arithmetic.shaken(gradient))
            gradients.update(of_parameters)
        return gradient, gradients

    return Forward(inputs, backward, statistics)


def residual(layer: Residual, inputs: Array, context: Context) -> Forward:
    """The sum of what both ways make of ``inputs``; the gradient comes back along both."""
    long_way = chain(layer.layers, inputs, context)
    shortcut = chain(layer.shortcut, inputs, context)

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        by_inputs, gradients = long_way.backward(gradient)
        by_same_inputs, more = shortcut.backward(gradient)
        return by_inputs + by_same_inputs, gradients | more

    statistics = {**long_way.statistics, **shortcut.statistics}
    return Forward(long_way.outputs + shortcut.outputs, backward, statistics)


def dense_connection(layer: DenseConnection, inputs: Array, context: Context) -> Forward:
    """(N, C, H, W) float in, (N, C + C', H, W) float out: ``inputs``, then what is made of them."""
    depth = inputs.shape[1]
    inside = chain(layer.layers, inputs, context)

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        by_inputs, gradients = inside.backward(gradient[:, depth:])
        return gradient[:, :depth] + by_inputs, gradients

    outputs = np.concatenate((inputs, inside.outputs), axis=1)
    return Forward(outputs, backward, inside.statistics)


def sigmoid(inputs: Array) -> Forward:
    """1 ÷ (1 + e⁻ˣ), element by element, in any shape."""
    # e to a power that is never positive cannot overflow.
    small = np.exp(-np.abs(inputs))
    outputs = np.where(inputs >= 0, 1, small) / (1 + small)

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        return gradient * outputs * (1 - outputs), {}

    return Forward(outputs, backward)


def relu(inputs: Array) -> Forward:
    """max(x, 0), element by element, in any shape; at 0 the slope is 0."""
    positive = inputs > 0

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        return gradient * positive, {}

    return Forward(np.maximum(inputs, 0), backward)


def dropout(layer: Dropout, inputs: Array, context: Context) -> Forward:
    """In training with masks, each value 0 or times 1 ÷ (1 − rate), in any shape; else itself.

    Srivastava et al., Dropout, 2014, section 10: scaled in training, untouched in inference.
    """
    if not context.training or context.masks is None:
        return Forward(inputs, lambda gradient: (gradient, {}))
    kept = context.masks.random(inputs.shape) >= layer.rate
    factors = kept.astype(inputs.dtype) / (1 - layer.rate)

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        return gradient * factors, {}

    return Forward(inputs * factors, backward)


def flatten(inputs: Array) -> Forward:
    """(N, C, H, W) in, (N, C·H·W) out, W running fastest."""

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        return gradient.reshape(inputs.shape), {}

    return Forward(inputs.reshape(len(inputs), -1), backward)


def dense(layer: Dense, inputs: Array, context: Context) -> Forward:
    """(N, in) float in, (N, units) float out: x·Wᵀ + b."""
    weight, bias = context.weights[f"{layer.name}.weight"], context.weights[f"{layer.name}.bias"]

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        return gradient @ weight, {
            f"{layer.name}.weight": gradient.T @ inputs,
            f"{layer.name}.bias": gradient.sum(axis=0),
        }

    return Forward(inputs @ weight.T + bias, backward)


def softmax_cross_entropy(logits: Array, labels: NDArray[np.int64]) -> tuple[Array, Array]:
    """Each example's loss in nats, (N,), and the gradient of their mean by ``logits``, (N, K)."""
    # Without the largest logit, which softmax does not see, no power of e overflows.
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    totals = powers.sum(axis=1)
    examples = np.arange(len(labels))
    losses = np.log(totals) - shifted[examples, labels]
    by_logits = powers / totals[:, np.newaxis]
    by_logits[examples, labels] -= 1
    return losses, by_logits / len(labels)
