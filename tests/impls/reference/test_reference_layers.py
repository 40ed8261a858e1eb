"""The reference's layers against textbook values, plain loops and known limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from impls.definition import (
    AveragePool,
    Conv,
    Dense,
    DenseConnection,
    Dropout,
    Flatten,
    GlobalAveragePool,
    MaxPool,
    Model,
    Relu,
    Residual,
    Sigmoid,
)
from impls.reference.layers import chain, forward, softmax_cross_entropy
from impls.reference.passes import Context

Array = NDArray[Any]
NOTHING = Context({})
few = st.integers(1, 3)
extents = st.integers(1, 7)


def masks(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


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


def naive_pool(
    layer: MaxPool | AveragePool, inputs: Array, of_window: Callable[[Array], float]
) -> Array:
    """The definition: every output is the largest value, or the mean, of what a window holds."""
    outputs = np.empty((len(inputs), *layer.output_shape(inputs.shape[1:])))
    padding = layer.padding if isinstance(layer, MaxPool) else 0
    for n, channel, row, column in np.ndindex(outputs.shape):
        top, left = row * layer.stride - padding, column * layer.stride - padding
        rows = slice(max(top, 0), top + layer.size)
        columns = slice(max(left, 0), left + layer.size)
        outputs[n, channel, row, column] = of_window(inputs[n, channel, rows, columns])
    return outputs


def test_textbook_convolution() -> None:
    """Zhang et al., Dive into Deep Learning, section "Convolutions for Images"."""
    layer = Conv(name="conv", channels=1, kernel=2)
    inputs = np.arange(9.0).reshape(1, 1, 3, 3)
    weights = {"conv.weight": np.arange(4.0).reshape(1, 1, 2, 2), "conv.bias": np.zeros(1)}
    outputs, _, _ = forward(layer, inputs, Context(weights))
    assert_array_equal(outputs, [[[[19, 25], [37, 43]]]])


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
    outputs, _, _ = forward(layer, inputs, Context({"conv.weight": weight, "conv.bias": bias}))
    expected = naive_conv(layer, inputs, weight, bias)
    assert outputs.shape == expected.shape
    assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12)


@given(few, few, extents, extents, few, few, st.integers(0, 1), st.integers(0, 99))
def test_max_pool_is_the_plain_loop(
    count: int,
    depth: int,
    height: int,
    width: int,
    size: int,
    stride: int,
    padding: int,
    seed: int,
) -> None:
    assume(size <= min(height, width) + 2 * padding)
    assume(padding <= size // 2)  # else a window may hold nothing but padding
    layer = MaxPool(size=size, stride=stride, padding=padding)
    inputs = np.random.RandomState(seed).standard_normal((count, depth, height, width))
    outputs, _, _ = forward(layer, inputs, NOTHING)
    assert_array_equal(outputs, naive_pool(layer, inputs, np.max))


@given(few, few, extents, extents, few, few, st.integers(0, 99))
def test_average_pool_is_the_plain_loop(
    count: int, depth: int, height: int, width: int, size: int, stride: int, seed: int
) -> None:
    assume(size <= min(height, width))
    layer = AveragePool(size=size, stride=stride)
    inputs = np.random.RandomState(seed).standard_normal((count, depth, height, width))
    outputs, _, _ = forward(layer, inputs, NOTHING)
    assert_allclose(outputs, naive_pool(layer, inputs, np.mean), rtol=1e-12, atol=1e-14)


def test_padded_places_never_win_and_get_no_gradient() -> None:
    inputs = np.array([[[[-9.0, -8.0], [-7.0, -6.0]]]])
    outputs, backward, _ = forward(MaxPool(size=3, stride=2, padding=1), inputs, NOTHING)
    assert_array_equal(outputs, [[[[-6]]]])
    gradient, _ = backward(np.array([[[[5.0]]]]))
    assert_array_equal(gradient, [[[[0, 0], [0, 5]]]])


def test_global_average_pool() -> None:
    inputs = np.array([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, -4.0]]]])
    outputs, backward, _ = forward(GlobalAveragePool(), inputs, NOTHING)
    assert_array_equal(outputs, [[3, -1]])
    gradient, _ = backward(np.array([[4.0, 8.0]]))
    assert_array_equal(gradient, [[[[1, 1], [1, 1]], [[2, 2], [2, 2]]]])


def test_the_first_of_equal_maxima_takes_the_whole_gradient() -> None:
    inputs = np.array([[[[0.0, 0.0, 1.0, 5.0], [0.0, 0.0, 5.0, 5.0]]]])
    _, backward, _ = forward(MaxPool(size=2, stride=2), inputs, NOTHING)
    gradient, _ = backward(np.array([[[[2.0, 3.0]]]]))
    assert_array_equal(gradient, [[[[2, 0, 0, 3], [0, 0, 0, 0]]]])


def test_a_maximum_of_overlapping_windows_takes_all_their_gradients() -> None:
    inputs = np.array([[[[0.0, 9.0, 0.0], [0.0, 0.0, 0.0]]]])
    _, backward, _ = forward(MaxPool(size=2, stride=1), inputs, NOTHING)
    gradient, _ = backward(np.array([[[[2.0, 3.0]]]]))
    assert_array_equal(gradient, [[[[0, 5, 0], [0, 0, 0]]]])


def test_pixels_beyond_the_last_window_have_no_gradient() -> None:
    _, backward, _ = forward(MaxPool(size=2, stride=2), np.zeros((1, 1, 3, 3)), NOTHING)
    gradient, _ = backward(np.ones((1, 1, 1, 1)))
    assert_array_equal(gradient, [[[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]])


def test_sigmoid_is_exact_at_both_ends() -> None:
    inputs = np.array([-1e4, -700.0, -1.0, 0.0, 1.0, 1e4])
    outputs, backward, _ = forward(Sigmoid(), inputs, NOTHING)
    exact = [0, math.exp(-700), 1 / (1 + math.e), 0.5, math.e / (1 + math.e), 1]
    assert_allclose(outputs, exact, rtol=1e-15)
    slopes, _ = backward(np.ones(6))
    assert_allclose(slopes, [0, math.exp(-700), exact[2] * exact[4], 0.25, exact[2] * exact[4], 0])


def test_relu_has_no_slope_at_zero() -> None:
    outputs, backward, _ = forward(Relu(), np.array([-2.0, 0.0, 3.0]), NOTHING)
    assert_array_equal(outputs, [0, 0, 3])
    assert_array_equal(backward(np.full(3, 7.0))[0], [0, 0, 7])


def test_dropout_passes_everything_on_in_inference_and_without_masks() -> None:
    inputs = np.arange(6.0)
    for context in (NOTHING._replace(training=True), NOTHING._replace(masks=masks(1))):
        outputs, backward, _ = forward(Dropout(rate=0.5), inputs, context)
        assert_array_equal(outputs, inputs)
        assert_array_equal(backward(inputs)[0], inputs)


@given(st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.integers(0, 99))
def test_dropout_drops_its_share_and_scales_the_rest(rate: float, seed: int) -> None:
    inputs = np.ones((40, 250))
    context = Context({}, training=True, masks=masks(seed))
    outputs, backward, _ = forward(Dropout(rate=rate), inputs, context)
    assert_allclose(outputs[outputs != 0], 1 / (1 - rate), rtol=1e-15)
    # Six standard deviations of a share of 10,000.
    assert np.mean(outputs == 0) == pytest.approx(rate, abs=6 * math.sqrt(rate * (1 - rate)) / 100)
    assert_array_equal(backward(np.ones_like(inputs))[0], outputs)


def test_dropout_draws_anew_for_each_pass() -> None:
    context = Context({}, training=True, masks=masks(3))
    first, second = (forward(Dropout(rate=0.5), np.ones(64), context).outputs for _ in range(2))
    assert (first != second).any()


def test_a_residual_adds_its_shortcut() -> None:
    double = Conv(name="double", channels=1, kernel=1)
    treble = Conv(name="treble", channels=1, kernel=1)
    context = Context(
        {
            "double.weight": np.full((1, 1, 1, 1), 2.0),
            "double.bias": np.full(1, 0.5),
            "treble.weight": np.full((1, 1, 1, 1), 3.0),
            "treble.bias": np.zeros(1),
        }
    )
    inputs = np.array([[[[1.0, -1.0]]]])
    outputs, backward, _ = forward(Residual(layers=(double,)), inputs, context)
    assert_array_equal(outputs, [[[[3.5, -2.5]]]])
    assert_array_equal(backward(np.ones_like(outputs))[0], [[[[3, 3]]]])
    both = Residual(layers=(double,), shortcut=(treble,))
    outputs, backward, _ = forward(both, inputs, context)
    assert_array_equal(outputs, [[[[5.5, -4.5]]]])
    by_inputs, gradients = backward(np.ones_like(outputs))
    assert_array_equal(by_inputs, [[[[5, 5]]]])
    assert list(gradients) == list(context.weights)


def test_a_dense_connection_keeps_its_inputs_in_front() -> None:
    inputs = np.array([[[[1.0]], [[-2.0]]]])
    layer = DenseConnection(layers=(Relu(), AveragePool(size=1, stride=1)))
    outputs, backward, _ = forward(layer, inputs, NOTHING)
    assert_array_equal(outputs.ravel(), [1, -2, 1, 0])
    gradient, _ = backward(np.array([1.0, 2.0, 10.0, 20.0]).reshape(1, 4, 1, 1))
    assert_array_equal(gradient.ravel(), [11, 2])


def test_flatten_lets_the_width_run_fastest() -> None:
    inputs = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    outputs, backward, _ = forward(Flatten(), inputs, NOTHING)
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
    outputs, _, _ = forward(layer, np.array([[1.0, 0.0, -1.0]]), Context(weights))
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


@pytest.mark.parametrize("name", ["lenet", "lenet-avg", "lenet-bn"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pass_keeps_the_type_that_it_was_given(
    dtype: type[np.floating[Any]],
    name: str,
    models: dict[str, Model],
    weights_of: Callable[[Model], dict[str, Array]],
    images: Array,
    labels: Array,
) -> None:
    model = models[name]
    weights = {name: array.astype(dtype) for name, array in weights_of(model).items()}
    context = Context(weights, training=True, variance_formula="unbiased")
    logits, backward, statistics = chain(model.layers, images[0].astype(dtype), context)
    losses, by_logits = softmax_cross_entropy(logits, labels[0])
    by_images, gradients = backward(by_logits)
    arrays = [logits, losses, by_logits, by_images, *gradients.values(), *statistics.values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert {name: array.shape for name, array in gradients.items()} == model.parameter_shapes()
    moved = gradients.keys() | statistics.keys()
    assert moved == model.weight_shapes().keys()
