"""Layers that look at neighbourhoods: convolution and pooling, forward and backward."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from impls.definition import AveragePool, Conv, MaxPool
from impls.reference.passes import Array, Context, Forward, Gradients


def conv(layer: Conv, inputs: Array, context: Context) -> Forward:
    """(N, C, H, W) float in, (N, channels, H', W') float out: cross-correlation plus bias.

    Every window becomes a column, so that the sums of products are one matrix product (im2col:
    Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks, 2006, section 2).
    """
    weight, bias = context.weights[f"{layer.name}.weight"], context.weights[f"{layer.name}.bias"]
    kernels = weight.reshape(len(weight), -1)  # (channels, C·k·k)
    columns = _columns(_padded(inputs, layer.padding, 0), layer.kernel, layer.stride)
    count, depth, _, height, width = columns.shape
    flat = columns.reshape(count, -1, height * width)  # (N, C·k·k, H'·W')
    outputs = kernels @ flat
    outputs += bias[:, np.newaxis]

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        by_output = gradient.reshape(count, len(weight), height * width)
        by_weight = (by_output @ flat.transpose(0, 2, 1)).sum(axis=0)
        by_column = (kernels.T @ by_output).reshape(count, depth, -1, height, width)
        return _summed(by_column, inputs.shape, layer.kernel, layer.stride, layer.padding), {
            f"{layer.name}.weight": by_weight.reshape(weight.shape),
            f"{layer.name}.bias": context.channel_sums(gradient),
        }

    return Forward(outputs.reshape(count, len(weight), height, width), backward)


def max_pool(layer: MaxPool, inputs: Array) -> Forward:
    """(N, C, H, W) float in, (N, C, H', W') float out: the largest value of each window."""
    columns = _columns(_padded(inputs, layer.padding, -np.inf), layer.size, layer.stride)
    shape = columns.shape
    # argmax takes the first of equals, and so do PyTorch, MXNet and TensorFlow (with and without
    # XLA) on a CPU: the whole gradient goes to the first maximum in row-major order. Equals are
    # common, as in a black background.
    largest = columns.argmax(axis=2)[:, :, np.newaxis]

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        by_column = np.zeros(shape, gradient.dtype)
        np.put_along_axis(by_column, largest, gradient[:, :, np.newaxis], axis=2)
        return _summed(by_column, inputs.shape, layer.size, layer.stride, layer.padding), {}

    return Forward(np.take_along_axis(columns, largest, axis=2)[:, :, 0], backward)


def average_pool(layer: AveragePool, inputs: Array) -> Forward:
    """(N, C, H, W) float in, (N, C, H', W') float out: the mean of each window."""
    columns = _columns(inputs, layer.size, layer.stride)
    shape = columns.shape

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        share = gradient[:, :, np.newaxis] / layer.size**2
        by_column = np.broadcast_to(share, shape)
        return _summed(by_column, inputs.shape, layer.size, layer.stride, 0), {}

    return Forward(columns.mean(axis=2), backward)


def global_average_pool(inputs: Array) -> Forward:
    """(N, C, H, W) float in, (N, C) float out: the mean of each channel."""

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        share = gradient[:, :, np.newaxis, np.newaxis] / (inputs.shape[2] * inputs.shape[3])
        return np.broadcast_to(share, inputs.shape), {}

    return Forward(inputs.mean(axis=(2, 3)), backward)


def _padded(images: Array, padding: int, value: float) -> Array:
    """``images`` with ``padding`` times ``value`` on all four sides of each."""
    edge = (padding, padding)
    if not padding:
        return images
    return np.pad(images, ((0, 0), (0, 0), edge, edge), constant_values=value)


def _columns(images: Array, size: int, stride: int) -> Array:
    """(N, C, H, W) in, (N, C, size·size, H', W') out: each window's values in row-major order."""
    every = sliding_window_view(images, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    count, depth, height, width = every.shape[:4]
    return every.transpose(0, 1, 4, 5, 2, 3).reshape(count, depth, size * size, height, width)


def _summed(columns: Array, shape: tuple[int, ...], size: int, stride: int, padding: int) -> Array:
    """(N, C, size·size, H', W') in, ``shape`` out: each value added where it was taken from.

    What belongs to padded places is left out.
    """
    count, depth, images_height, images_width = shape
    height, width = columns.shape[3:]
    images = np.zeros(
        (count, depth, images_height + 2 * padding, images_width + 2 * padding), columns.dtype
    )
    for place in range(size * size):
        row, column = divmod(place, size)
        rows = slice(row, row + stride * height, stride)
        across = slice(column, column + stride * width, stride)
        images[:, :, rows, across] += columns[:, :, place]
    return images[:, :, padding : padding + images_height, padding : padding + images_width]
