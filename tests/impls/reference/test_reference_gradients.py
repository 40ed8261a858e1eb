"""The reference's gradients against central differences: (f(x+h) − f(x−h)) ÷ 2h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
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
    Model,
    Relu,
    Residual,
    Sigmoid,
    elementary_steps,
)
from impls.reference.layers import chain, forward, softmax_cross_entropy
from impls.reference.passes import Context

Array = NDArray[Any]
STEP = 1e-5

NORMALIZED_CONV = (
    BatchNorm(name="bn"),
    Sigmoid(),
    Conv(name="conv", channels=3, kernel=3, padding=1),
)

LAYERS: list[tuple[Layer, tuple[int, ...]]] = [
    (Conv(name="conv", channels=3, kernel=2), (2, 4, 5)),
    (Conv(name="conv", channels=2, kernel=3, padding=2), (1, 3, 4)),
    (Conv(name="conv", channels=2, kernel=2, stride=2, padding=1), (3, 5, 4)),
    (Conv(name="conv", channels=2, kernel=2, stride=3), (1, 7, 6)),
    (MaxPool(size=2, stride=2), (2, 5, 4)),
    (MaxPool(size=3, stride=2), (2, 7, 6)),
    (MaxPool(size=2, stride=3), (1, 6, 6)),
    (MaxPool(size=3, stride=2, padding=1), (2, 5, 6)),
    (AveragePool(size=2, stride=2), (2, 5, 4)),
    (AveragePool(size=3, stride=2), (1, 7, 5)),
    (GlobalAveragePool(), (3, 2, 4)),
    (Sigmoid(), (2, 3, 4)),
    (Relu(), (2, 3, 4)),
    (Dropout(rate=0.5), (2, 3, 4)),
    (BatchNorm(name="bn"), (3, 2, 4)),
    (BatchNorm(name="bn", epsilon=0.1, momentum=0.5), (5,)),
    (Residual(layers=NORMALIZED_CONV), (3, 3, 4)),
    (
        Residual(
            layers=(Conv(name="conv", channels=2, kernel=3, stride=2), BatchNorm(name="bn")),
            shortcut=(Conv(name="shortcut", channels=2, kernel=3, stride=2),),
        ),
        (1, 5, 5),
    ),
    (DenseConnection(layers=NORMALIZED_CONV), (2, 3, 4)),
    (DenseConnection(layers=(DenseConnection(layers=NORMALIZED_CONV),)), (1, 3, 3)),
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


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_layer_gradients(layer: Layer, shape: tuple[int, ...], training: bool) -> None:
    random = np.random.RandomState(4)
    # Values at least 0.01 apart and none at 0: no step of a difference changes which one is the
    # largest, or the sign of any.
    inputs = random.permutation(2 * int(np.prod(shape))).reshape(2, *shape) / 100 - 0.305
    parameters: dict[str, Array] = {}
    statistics: dict[str, Array] = {}
    for step in elementary_steps((layer,), shape):
        for name, extent in step.layer.parameter_shapes(step.input_shape).items():
            parameters[name] = random.standard_normal(extent)
        for name, extent in step.layer.statistic_shapes(step.input_shape).items():
            statistics[name] = random.uniform(0.5, 2, extent)
    # The same masks for each pass.
    context = Context({**parameters, **statistics}, training)
    outputs, backward, _ = forward(layer, inputs, context._replace(masks=np.random.default_rng(8)))
    direction = random.standard_normal(outputs.shape)

    def value() -> float:
        masked = context._replace(masks=np.random.default_rng(8))
        return float((forward(layer, inputs, masked).outputs * direction).sum())

    by_inputs, by_parameters = backward(direction)
    assert_allclose(by_inputs, central_differences(value, inputs), rtol=1e-7, atol=1e-8)
    assert by_parameters.keys() == parameters.keys()
    for name, array in parameters.items():
        expected = central_differences(value, array)
        assert_allclose(by_parameters[name], expected, rtol=1e-7, atol=1e-8, err_msg=name)


def test_cross_entropy_gradient() -> None:
    logits = np.random.RandomState(5).standard_normal((3, 10))
    labels = np.array([0, 9, 4])
    _, gradient = softmax_cross_entropy(logits, labels)

    def mean_loss() -> float:
        return float(softmax_cross_entropy(logits, labels)[0].mean())

    assert_allclose(gradient, central_differences(mean_loss, logits), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["lenet", "lenet-avg", "lenet-bn"])
def test_model_gradients(
    name: str,
    models: dict[str, Model],
    weights_of: Callable[[Model], dict[str, Array]],
    images: Array,
    labels: Array,
) -> None:
    """Of the mean loss, by each parameter, along three random directions each."""
    model = models[name]
    weights = {name: array.astype(np.float64) for name, array in weights_of(model).items()}
    pixels = images[0].astype(np.float64)
    logits, backward, _ = chain(model.layers, pixels, Context(weights, training=True))
    _, gradients = backward(softmax_cross_entropy(logits, labels[0])[1])

    def mean_loss(changed: dict[str, Array]) -> float:
        context = Context({**weights, **changed}, training=True)
        logits = chain(model.layers, pixels, context).outputs
        return float(softmax_cross_entropy(logits, labels[0])[0].mean())

    random = np.random.RandomState(6)
    # Many pooled values lie close together: a longer step would change which is the largest, and
    # there the true function has a kink.
    step = STEP / 10
    for name in model.parameter_shapes():
        array = weights[name]
        for _ in range(3):
            direction = random.standard_normal(array.shape)
            direction /= np.linalg.norm(direction)
            above = mean_loss({name: array + step * direction})
            below = mean_loss({name: array - step * direction})
            slope = float((gradients[name] * direction).sum())
            # A loss near 2 is known to some 4e-16, so the difference ÷ 2h to some 4e-10.
            assert slope == pytest.approx((above - below) / (2 * step), rel=1e-8, abs=2e-9), name
