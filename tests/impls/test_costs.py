"""What each part of a step costs at least: by hand for LeNet, by rule for any chain of layers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.paths import BENCHMARKS
from harness.spec.recipes import read_models
from impls import costs
from impls.adapter import Adam, Sgd
from impls.costs import Cost
from impls.definition import Conv, Dense, Flatten, MaxPool, Model, Sigmoid
from impls.pieces import layer_steps

MODELS = read_models(BENCHMARKS / "models.toml")
LENET = MODELS["lenet"]
SGD = Sgd(learning_rate=0.9)
MOMENTUM = Sgd(learning_rate=0.9, momentum=0.5)
ADAM = Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8)

CONV1 = 2 * 6 * 1 * 25 * 24 * 24
CONV2 = 2 * 16 * 6 * 25 * 8 * 8
DENSE = 2 * (256 * 120 + 120 * 84 + 84 * 10)
PARAMETERS = 44_426
PIXELS = 28 * 28


@st.composite
def chains(draw: st.DrawFn) -> Model:
    """Convolutions, each with a sigmoid and perhaps a pool, then dense layers."""
    extent = draw(st.integers(12, 20))
    layers: list[object] = []
    for number in range(draw(st.integers(1, 2))):
        kernel = draw(st.integers(1, 3))
        layers.append(Conv(f"conv{number}", draw(st.integers(1, 4)), kernel, padding=1))
        layers.append(Sigmoid())
        if draw(st.booleans()):
            layers.append(MaxPool(2, 2))
    layers.append(Flatten())
    layers += [Dense(f"dense{number}", draw(st.integers(1, 6))) for number in range(2)]
    layers.append(Dense("last", Model.CLASSES))
    channels = draw(st.integers(1, 3))
    return Model(name="chain", input_shape=(channels, extent, extent), layers=tuple(layers))  # type: ignore[arg-type]


def test_lenet_by_hand():
    forward = CONV1 + CONV2 + DENSE
    assert costs.forward(LENET, 1) == Cost(forward, 4 * (PIXELS + 10 + PARAMETERS))
    assert costs.forward(LENET, 256) == Cost(256 * forward, 4 * (256 * (PIXELS + 10) + PARAMETERS))
    trained = 2 * CONV1 + 3 * (CONV2 + DENSE)
    assert costs.forward_backward(LENET, 32) == Cost(
        32 * trained, 4 * (32 * PIXELS + 2 * PARAMETERS)
    )
    assert costs.train_step(LENET, SGD, 32) == Cost(
        32 * trained, 4 * (32 * PIXELS + 2 * PARAMETERS)
    )


@pytest.mark.parametrize(
    "optimizer, values", [(SGD, 3), (MOMENTUM, 5), (ADAM, 7)], ids=["sgd", "momentum", "adam"]
)
def test_an_optimizer_reads_gradients_and_renews_what_it_keeps(optimizer, values):
    assert costs.optimizer_step(LENET, optimizer) == Cost(0, 4 * values * PARAMETERS)


@pytest.mark.parametrize(
    "name, forward, both",
    [
        ("conv1", (CONV1, PIXELS + 6 * 576 + 156), (2 * CONV1, PIXELS + 2 * 6 * 576 + 2 * 156)),
        ("sigmoid1", (0, 2 * 6 * 576), (0, 4 * 6 * 576)),
        ("pool1", (0, 6 * 576 + 6 * 144), (0, 2 * (6 * 576 + 6 * 144))),
        ("dense3", (1680, 84 + 10 + 850), (3 * 1680, 2 * (84 + 10 + 850))),
    ],
)
def test_layers_of_lenet_by_hand(name, forward, both):
    step = layer_steps(LENET)[name]
    first = name == "conv1"
    assert costs.layer_forward(step, 1) == Cost(forward[0], 4 * forward[1])
    assert costs.layer_forward_backward(step, 1, first=first) == Cost(both[0], 4 * both[1])


def test_the_machine_and_the_way_to_the_device():
    assert costs.matmul(1024) == Cost(2 * 1024**3, 3 * 1024**2 * 4)
    assert costs.copy(2**26) == Cost(0, 2**27)
    assert costs.gather(LENET, 32) == Cost(0, 32 * PIXELS * 5)
    assert costs.staging(LENET, 32, "gpu:1") == Cost(0, 32 * PIXELS * 4)
    assert costs.staging(LENET, 32, "cpu") == Cost(0, 0), "images may stay where they are"


@given(chains(), st.integers(1, 64))
def test_layers_add_up_to_the_model(model, size):
    layers = layer_steps(model)
    first = next(iter(layers))
    forward = [costs.layer_forward(step, size) for step in layers.values()]
    both = [
        costs.layer_forward_backward(step, size, first=name == first)
        for name, step in layers.items()
    ]
    assert sum(one.flops for one in forward) == costs.forward(model, size).flops
    assert sum(one.flops for one in both) == costs.forward_backward(model, size).flops
    # What goes from layer to layer need not move within a whole pass.
    assert sum(one.bytes for one in forward) >= costs.forward(model, size).bytes
    assert sum(one.bytes for one in both) >= costs.forward_backward(model, size).bytes


@given(chains(), st.integers(1, 64), st.sampled_from([SGD, MOMENTUM, ADAM]))
def test_what_grows_with_the_batch(model, size, optimizer):
    one, two = (
        costs.train_step(model, optimizer, size),
        costs.train_step(model, optimizer, 2 * size),
    )
    assert two.flops == 2 * one.flops
    assert two.bytes - one.bytes == 4 * size * math.prod(model.input_shape)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_has_its_costs(model):
    forward, both = costs.forward(model, 2), costs.forward_backward(model, 2)
    assert forward.flops < both.flops <= 3 * forward.flops
    assert costs.train_step(model, ADAM, 2).bytes > both.bytes > forward.bytes
