"""The reference's layers against textbook values, plain loops and known limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from impls.definition import Conv, Dense, Flatten, MaxPool, Model, Sigmoid
from impls.reference.layers import chain, forward, softmax_cross_entropy

Array = NDArray[Any]
few = st.integers(1, 3)
extents = st.integers(1, 7)


def naive_conv(layer: Conv, inputs: Array, weight: Array, bias: Array) -> Array:
    """The definition: every output is one sum over one window."""
    edge = (layer.padding, layer.padding)
    padded = np.pad(inputs, ((0, 0), (0, 0), edge, edge))
    outputs = np.empty((len(inputs), *layer.output_shape(inputs.shape[1:])))
    for n, channel, row, column in np.ndindex(outputs.shape):
        top, left = row * layer.stride, column * layer.stride
        window = padded[n, :, top : top + layer.kernel, left : left + layer.kernel]
        outputs[n, channel, row, column] = (window * weight[channel]).sum() + bias[channel]
    return outputs


def naive_max_pool(layer: MaxPool, inputs: Array) -> Array:
    """The definition: every output is the largest value of one window."""
    outputs = np.empty((len(inputs), *layer.output_shape(inputs.shape[1:])))
    for n, channel, row, column in np.ndindex(outputs.shape):
        top, left = row * layer.stride, column * layer.stride
        window = inputs[n, channel, top : top + layer.size, left : left + layer.size]
        outputs[n, channel, row, column] = window.max()
    return outputs


def test_textbook_convolution() -> None:
    """Zhang et al., Dive into Deep Learning, section "Convolutions for Images"."""
    layer = Conv(name="conv", channels=1, kernel=2)
    inputs = np.arange(9.0).reshape(1, 1, 3, 3)
    weights = {"conv.weight": np.arange(4.0).reshape(1, 1, 2, 2), "conv.bias": np.zeros(1)}
    outputs, _ = forward(layer, inputs, weights)
    assert_array_equal(outputs, [[[[19, 25], [37, 43]]]])


@settings(deadline=None)
@given(few, few, few, extents, extents, few, few, st.integers(0, 2), st.integers(0, 99))
def test_conv_is_the_plain_loop(
    count: int,
    depth: int,
    channels: int,
    height: int,
    width: int,
    kernel: int,
    stride: int,
    padding: int,
    seed: int,
) -> None:
    assume(kernel <= min(height, width) + 2 * padding)
    random = np.random.RandomState(seed)
    layer = Conv(name="conv", channels=channels, kernel=kernel, stride=stride, padding=padding)
    inputs = random.standard_normal((count, depth, height, width))
    weight = random.standard_normal((channels, depth, kernel, kernel))
    bias = random.standard_normal(channels)
    outputs, _ = forward(layer, inputs, {"conv.weight": weight, "conv.bias": bias})
    expected = naive_conv(layer, inputs, weight, bias)
    assert outputs.shape == expected.shape
    assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)


@settings(deadline=None)
@given(few, few, extents, extents, few, few, st.integers(0, 99))
def test_max_pool_is_the_plain_loop(
    count: int, depth: int, height: int, width: int, size: int, stride: int, seed: int
) -> None:
    assume(size <= min(height, width))
    layer = MaxPool(size=size, stride=stride)
    inputs = np.random.RandomState(seed).standard_normal((count, depth, height, width))
    outputs, _ = forward(layer, inputs, {})
    assert_array_equal(outputs, naive_max_pool(layer, inputs))


def test_the_first_of_equal_maxima_takes_the_whole_gradient() -> None:
    inputs = np.array([[[[0.0, 0.0, 1.0, 5.0], [0.0, 0.0, 5.0, 5.0]]]])
    _, backward = forward(MaxPool(size=2, stride=2), inputs, {})
    gradient, _ = backward(np.array([[[[2.0, 3.0]]]]))
    assert_array_equal(gradient, [[[[2, 0, 0, 3], [0, 0, 0, 0]]]])


def test_a_maximum_of_overlapping_windows_takes_all_their_gradients() -> None:
    inputs = np.array([[[[0.0, 9.0, 0.0], [0.0, 0.0, 0.0]]]])
    _, backward = forward(MaxPool(size=2, stride=1), inputs, {})
    gradient, _ = backward(np.array([[[[2.0, 3.0]]]]))
    assert_array_equal(gradient, [[[[0, 5, 0], [0, 0, 0]]]])


def test_pixels_beyond_the_last_window_have_no_gradient() -> None:
    _, backward = forward(MaxPool(size=2, stride=2), np.zeros((1, 1, 3, 3)), {})
    gradient, _ = backward(np.ones((1, 1, 1, 1)))
    assert_array_equal(gradient, [[[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]])


def test_sigmoid_is_exact_at_both_ends() -> None:
    inputs = np.array([-1e4, -700.0, -1.0, 0.0, 1.0, 1e4])
    outputs, backward = forward(Sigmoid(), inputs, {})
    exact = [0, math.exp(-700), 1 / (1 + math.e), 0.5, math.e / (1 + math.e), 1]
    assert_allclose(outputs, exact, rtol=1e-15)
    slopes, _ = backward(np.ones(6))
    assert_allclose(slopes, [0, math.exp(-700), exact[2] * exact[4], 0.25, exact[2] * exact[4], 0])


def test_flatten_lets_the_width_run_fastest() -> None:
    inputs = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    outputs, backward = forward(Flatten(), inputs, {})
    assert outputs.shape == (2, 60)
    for n, c, h, w in np.ndindex(inputs.shape):
        assert outputs[n, (c * 4 + h) * 5 + w] == inputs[n, c, h, w]
    assert_array_equal(backward(outputs)[0], inputs)


def test_dense_multiplies_by_the_transposed_weight() -> None:
    layer = Dense(name="dense", units=2)
    weights = {
        "dense.weight": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
        "dense.bias": np.array([0.5, -0.5]),
    }
    outputs, _ = forward(layer, np.array([[1.0, 0.0, -1.0]]), weights)
    assert_array_equal(outputs, [[-1.5, -2.5]])


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes() -> None:
    losses, gradient = softmax_cross_entropy(np.full((2, 10), 7.0), np.array([3, 9]))
    assert_allclose(losses, [math.log(10)] * 2, rtol=1e-15)
    expected = np.full((2, 10), 0.1)
    expected[[0, 1], [3, 9]] -= 1
    assert_allclose(gradient, expected / 2, rtol=1e-15)


def test_cross_entropy_of_huge_logits_does_not_overflow() -> None:
    losses, gradient = softmax_cross_entropy(np.array([[1e4, 0.0], [0.0, -1e4]]), np.array([1, 0]))
    assert_array_equal(losses, [1e4, 0])
    assert_array_equal(gradient, [[0.5, -0.5], [0, 0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pass_keeps_the_type_that_it_was_given(
    dtype: type[np.floating[Any]],
    lenet: Model,
    xavier: dict[str, Array],
    images: Array,
    labels: Array,
) -> None:
    weights = {name: array.astype(dtype) for name, array in xavier.items()}
    logits, backward = chain(lenet.layers, images[0].astype(dtype), weights)
    losses, by_logits = softmax_cross_entropy(logits, labels[0])
    by_images, gradients = backward(by_logits)
    arrays = [logits, losses, by_logits, by_images, *gradients.values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert {name: array.shape for name, array in gradients.items()} == lenet.parameter_shapes()
