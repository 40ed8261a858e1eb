"""Every layer of ``impls/definition.py`` in NumPy, forward and backward.

A layer is a function that returns its outputs together with the function that takes a gradient
back through it (reverse-mode differentiation: Griewank and Walther, Evaluating Derivatives, 2008,
chapter 3). A new layer is one such function and one ``case`` in ``forward``; a layer made of
others, such as a residual block, calls ``chain`` for its inside.

All arrays of one pass share one float dtype, written ``float`` below: that of inputs and weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from impls.adapter import Weights
from impls.definition import Conv, Dense, Flatten, Layer, MaxPool, Sigmoid

Array = NDArray[Any]
Gradients = dict[str, Array]
"""Canonical parameter name → gradient, in the parameter's shape."""

Backward = Callable[[Array], tuple[Array, Gradients]]
"""Gradient by the outputs in; gradient by the inputs and gradients by the parameters out."""

Forward = tuple[Array, Backward]


def forward(layer: Layer, inputs: Array, weights: Weights) -> Forward:
    """The outputs of ``layer`` for a batch of ``inputs``, and its way back."""
    match layer:
        case Conv():
            return conv(layer, inputs, weights)
        case MaxPool():
            return max_pool(layer, inputs)
        case Sigmoid():
            return sigmoid(inputs)
        case Flatten():
            return flatten(inputs)
        case Dense():
            return dense(layer, inputs, weights)


def chain(layers: Iterable[Layer], inputs: Array, weights: Weights) -> Forward:
    """The outputs of ``layers``, each fed with the one before, and the way back through all."""
    steps_back: list[Backward] = []
    for layer in layers:
        inputs, step_back = forward(layer, inputs, weights)
        steps_back.append(step_back)

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        gradients: Gradients = {}
        for step_back in reversed(steps_back):
            gradient, of_parameters = step_back(gradient)
            gradients.update(of_parameters)
        return gradient, gradients

    return inputs, backward


def conv(layer: Conv, inputs: Array, weights: Weights) -> Forward:
    """(N, C, H, W) float in, (N, channels, H', W') float out: cross-correlation plus bias.

    Every window becomes a column, so that the sums of products are one matrix product (im2col:
    Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks, 2006, section 2).
    """
    weight, bias = weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"]
    kernels = weight.reshape(len(weight), -1)  # (channels, C·k·k)
    edge = (layer.padding, layer.padding)
    padded = np.pad(inputs, ((0, 0), (0, 0), edge, edge))
    windows = _windows(padded, layer.kernel, layer.stride)
    count, depth, height, width = windows.shape[:4]
    # (N, C·k·k, H'·W')
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(count, kernels.shape[1], height * width)
    outputs = kernels @ columns + bias[:, np.newaxis]

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        by_output = gradient.reshape(count, len(weight), height * width)
        by_weight = np.matmul(by_output, columns.transpose(0, 2, 1)).sum(axis=0)
        by_column = (kernels.T @ by_output).reshape(
            count, depth, layer.kernel, layer.kernel, height, width
        )
        by_padded = _summed_windows(by_column, padded.shape, layer.stride)
        rows, columns_kept = (slice(layer.padding, layer.padding + n) for n in inputs.shape[2:])
        return by_padded[:, :, rows, columns_kept], {
            f"{layer.name}.weight": by_weight.reshape(weight.shape),
            f"{layer.name}.bias": gradient.sum(axis=(0, 2, 3)),
        }

    return outputs.reshape(count, len(weight), height, width), backward


def max_pool(layer: MaxPool, inputs: Array) -> Forward:
    """(N, C, H, W) float in, (N, C, H', W') float out: the largest value of each window."""
    windows = _windows(inputs, layer.size, layer.stride)
    count, depth, height, width = windows.shape[:4]
    flat = windows.transpose(0, 1, 4, 5, 2, 3).reshape(count, depth, -1, height, width)
    # argmax takes the first of equals, and so do PyTorch, MXNet and TensorFlow (with and without
    # XLA) on a CPU: the whole gradient goes to the first maximum in row-major order. Equals are
    # common, as in a black background.
    largest = flat.argmax(axis=2)[:, :, np.newaxis]

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        by_flat = np.zeros_like(flat)
        np.put_along_axis(by_flat, largest, gradient[:, :, np.newaxis], axis=2)
        by_window = by_flat.reshape(count, depth, layer.size, layer.size, height, width)
        return _summed_windows(by_window, inputs.shape, layer.stride), {}

    return np.take_along_axis(flat, largest, axis=2)[:, :, 0], backward


def sigmoid(inputs: Array) -> Forward:
    """1 ÷ (1 + e⁻ˣ), element by element, in any shape."""
    # e to a power that is never positive cannot overflow.
    small = np.exp(-np.abs(inputs))
    outputs = np.where(inputs >= 0, 1, small) / (1 + small)

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        return gradient * outputs * (1 - outputs), {}

    return outputs, backward


def flatten(inputs: Array) -> Forward:
    """(N, C, H, W) in, (N, C·H·W) out, W running fastest."""

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        return gradient.reshape(inputs.shape), {}

    return inputs.reshape(len(inputs), -1), backward


def dense(layer: Dense, inputs: Array, weights: Weights) -> Forward:
    """(N, in) float in, (N, units) float out: x·Wᵀ + b."""
    weight, bias = weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"]

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        return gradient @ weight, {
            f"{layer.name}.weight": gradient.T @ inputs,
            f"{layer.name}.bias": gradient.sum(axis=0),
        }

    return inputs @ weight.T + bias, backward


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


def _windows(images: Array, size: int, stride: int) -> Array:
    """(N, C, H, W) in, (N, C, H', W', size, size) out: a view of every window."""
    every = sliding_window_view(images, (size, size), axis=(2, 3))
    return every[:, :, ::stride, ::stride]


def _summed_windows(windows: Array, shape: tuple[int, ...], stride: int) -> Array:
    """(N, C, size, size, H', W') in, ``shape`` out: each window added where it was taken from."""
    images = np.zeros(shape, windows.dtype)
    size, _, height, width = windows.shape[2:]
    for row in range(size):
        for column in range(size):
            rows = slice(row, row + stride * height, stride)
            columns = slice(column, column + stride * width, stride)
            images[:, :, rows, columns] += windows[:, :, row, column]
    return images
