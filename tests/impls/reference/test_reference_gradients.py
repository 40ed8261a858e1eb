"""The reference's gradients against central differences: (f(x+h) − f(x−h)) ÷ 2h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from impls.definition import Conv, Dense, Flatten, Layer, MaxPool, Model, Sigmoid
from impls.reference.layers import chain, forward, softmax_cross_entropy

Array = NDArray[Any]
STEP = 1e-5

LAYERS: list[tuple[Layer, tuple[int, ...]]] = [
    (Conv(name="conv", channels=3, kernel=2), (2, 4, 5)),
    (Conv(name="conv", channels=2, kernel=3, padding=2), (1, 3, 4)),
    (Conv(name="conv", channels=2, kernel=2, stride=2, padding=1), (3, 5, 4)),
    (Conv(name="conv", channels=2, kernel=2, stride=3), (1, 7, 6)),
    (MaxPool(size=2, stride=2), (2, 5, 4)),
    (MaxPool(size=3, stride=2), (2, 7, 6)),
    (MaxPool(size=2, stride=3), (1, 6, 6)),
    (Sigmoid(), (2, 3, 4)),
    (Flatten(), (2, 3, 4)),
    (Dense(name="dense", units=3), (5,)),
]


def central_differences(value: Callable[[], float], at: Array) -> Array:
    """The gradient of ``value`` by ``at``, which it reads and which is moved in place."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        kept = at[index]
        at[index] = kept + STEP
        above = value()
        at[index] = kept - STEP
        gradient[index] = (above - value()) / (2 * STEP)
        at[index] = kept
    return gradient


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_layer_gradients(layer: Layer, shape: tuple[int, ...]) -> None:
    random = np.random.RandomState(4)
    # Values at least 0.01 apart: no step of a difference changes which one is the largest.
    inputs = random.permutation(2 * int(np.prod(shape))).reshape(2, *shape) / 100 - 0.3
    weights = {
        name: random.standard_normal(extent)
        for name, extent in layer.parameter_shapes(shape).items()
    }
    outputs, backward = forward(layer, inputs, weights)
    direction = random.standard_normal(outputs.shape)

    def value() -> float:
        return float((forward(layer, inputs, weights)[0] * direction).sum())

    by_inputs, by_weights = backward(direction)
    assert_allclose(by_inputs, central_differences(value, inputs), rtol=1e-7, atol=1e-8)
    assert by_weights.keys() == weights.keys()
    for name, array in weights.items():
        expected = central_differences(value, array)
        assert_allclose(by_weights[name], expected, rtol=1e-7, atol=1e-8, err_msg=name)


def test_cross_entropy_gradient() -> None:
    logits = np.random.RandomState(5).standard_normal((3, 10))
    labels = np.array([0, 9, 4])
    _, gradient = softmax_cross_entropy(logits, labels)

    def mean_loss() -> float:
        return float(softmax_cross_entropy(logits, labels)[0].mean())

    assert_allclose(gradient, central_differences(mean_loss, logits), rtol=1e-7, atol=1e-9)


def test_lenet_gradients(
    lenet: Model, xavier: dict[str, Array], images: Array, labels: Array
) -> None:
    """Of the mean loss, by each parameter, along three random directions each."""
    weights = {name: array.astype(np.float64) for name, array in xavier.items()}
    logits, backward = chain(lenet.layers, images[0].astype(np.float64), weights)
    _, gradients = backward(softmax_cross_entropy(logits, labels[0])[1])

    def mean_loss(changed: dict[str, Array]) -> float:
        logits, _ = chain(lenet.layers, images[0].astype(np.float64), {**weights, **changed})
        return float(softmax_cross_entropy(logits, labels[0])[0].mean())

    random = np.random.RandomState(6)
    # Many pooled values lie close together: a longer step would change which is the largest, and
    # there the true function has a kink.
    step = STEP / 10
    for name, array in weights.items():
        for _ in range(3):
            direction = random.standard_normal(array.shape)
            direction /= np.linalg.norm(direction)
            above = mean_loss({name: array + step * direction})
            below = mean_loss({name: array - step * direction})
            slope = float((gradients[name] * direction).sum())
            # A loss near 2 is known to some 4e-16, so the difference ÷ 2h to some 4e-10.
            assert slope == pytest.approx((above - below) / (2 * step), rel=1e-8, abs=2e-9), name
