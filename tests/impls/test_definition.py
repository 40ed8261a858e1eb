"""The tables of models: shapes, parameters and their order."""

from __future__ import annotations

import math

import msgspec
import pytest

from harness.paths import BENCHMARKS
from harness.spec.recipes import read_models
from harness.spec.tables import record
from impls.definition import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    DenseConnection,
    Flatten,
    GlobalAveragePool,
    MaxPool,
    Model,
    Relu,
    Residual,
    Sigmoid,
    elementary_steps,
)

MODELS = read_models(BENCHMARKS / "models.toml")


def square(*sizes: tuple[int, int]) -> list[tuple[int, ...]]:
    """(C, H, H) for each (C, H)."""
    return [(channels, extent, extent) for channels, extent in sizes]


LENET_END: list[tuple[int, ...]] = [(120,), (84,), (10,)]
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "lenet": [*square((6, 24), (6, 12), (16, 8), (16, 4)), (256,), *LENET_END],
    "lenet-avg": [*square((6, 28), (6, 14), (16, 10), (16, 5)), (400,), *LENET_END],
    "lenet-bn": [*square((6, 24), (6, 12), (16, 8), (16, 4)), (256,), *LENET_END],
    "alexnet": [
        *square((96, 54), (96, 26), (256, 26), (256, 12), (384, 12), (256, 12), (256, 5)),
        *[(6400,), (4096,), (10,)],
    ],
    "vgg11-small": [
        *square((16, 224), (16, 112), (32, 112), (32, 56), (64, 56), (64, 28)),
        *square((128, 28), (128, 14), (128, 7)),
        *[(6272,), (4096,), (10,)],
    ],
    "nin": [
        *square((96, 54), (96, 26), (256, 26), (256, 12), (384, 12), (384, 5), (10, 5)),
        (10,),
    ],
    "resnet18": [
        *square((64, 48), (64, 24), (128, 12), (256, 6), (512, 3)),
        *[(512,), (10,)],
    ],
    "densenet": [
        *square((64, 48), (64, 24), (96, 24), (128, 24), (160, 24), (192, 24)),
        *square((96, 24), (96, 12), (128, 12), (160, 12), (192, 12), (224, 12)),
        *square((112, 12), (112, 6), (144, 6), (176, 6), (208, 6), (240, 6)),
        *square((120, 6), (120, 3), (152, 3), (184, 3), (216, 3), (248, 3)),
        *[(248,), (10,)],
    ],
}
PARAMETERS = {
    "lenet": 44_426,
    "lenet-avg": 61_706,
    "lenet-bn": 44_426 + 2 * (6 + 16 + 120 + 84),
    "alexnet": 46_764_746,
    "vgg11-small": 43_093_322,
    "nin": 1_992_166,
    "resnet18": 11_178_378,
    "densenet": 758_226,
}
"""Added up by hand, convolutions with biases, a weight and a bias for each normalized channel."""


@pytest.fixture(scope="module")
def lenet() -> Model:
    return MODELS["lenet"]


def test_there_are_no_other_models() -> None:
    assert MODELS.keys() == SHAPES.keys() == PARAMETERS.keys()


@pytest.mark.parametrize(("name", "expected"), SHAPES.items(), ids=list(SHAPES))
def test_every_change_of_shape(name: str, expected: list[tuple[int, ...]]) -> None:
    outputs = [step.output_shape for step in MODELS[name].steps()]
    changes = [one for one, before in zip(outputs, [None, *outputs], strict=False) if one != before]
    assert changes == expected


@pytest.mark.parametrize("name", SHAPES)
def test_each_layer_takes_what_the_one_before_gives(name: str) -> None:
    steps = list(MODELS[name].steps())
    assert steps[0].input_shape == MODELS[name].input_shape
    assert [step.input_shape for step in steps[1:]] == [step.output_shape for step in steps[:-1]]


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items(), ids=list(PARAMETERS))
def test_number_of_parameters(name: str, parameters: int) -> None:
    shapes = MODELS[name].parameter_shapes().values()
    assert sum(math.prod(shape) for shape in shapes) == parameters


@pytest.mark.parametrize("name", SHAPES)
def test_weights_are_parameters_and_running_statistics(name: str) -> None:
    parameters, weights = MODELS[name].parameter_shapes(), MODELS[name].weight_shapes()
    statistics = {each: shape for each, shape in weights.items() if "running" in each}
    assert [each for each in weights if each not in statistics] == list(parameters)
    normalized = sum(isinstance(step.layer, BatchNorm) for step in MODELS[name].elementary_steps())
    assert len(statistics) == 2 * normalized


def test_names_are_unique() -> None:
    for model in MODELS.values():
        names = [
            name
            for step in model.elementary_steps()
            for name in step.layer.parameter_shapes(step.input_shape)
        ]
        assert len(names) == len(set(names)), model.name


def test_both_ways_of_every_residual_have_one_shape() -> None:
    """Each shortcut ends where the long way does."""
    residuals = [step for step in MODELS["resnet18"].steps() if isinstance(step.layer, Residual)]
    assert len(residuals) == 8
    for layer, shape, output in residuals:
        assert isinstance(layer, Residual)
        ends = [list(elementary_steps(way, shape)) for way in (layer.layers, layer.shortcut)]
        assert {way[-1].output_shape if way else shape for way in ends} == {output}


def test_lenet_flops_by_hand(lenet: Model) -> None:
    conv1, conv2 = 24 * 24 * 6 * 5 * 5, 8 * 8 * 16 * 6 * 5 * 5
    dense = 256 * 120 + 120 * 84 + 84 * 10
    assert lenet.forward_flops() == 2 * (conv1 + conv2 + dense) == 563_280
    # Forward, by weights and by inputs, the last not in the first layer.
    assert lenet.training_flops() == 2 * (2 * conv1 + 3 * conv2 + 3 * dense) == 1_517_040


def test_the_insides_of_blocks_count() -> None:
    inside = Conv(name="a", channels=3, kernel=1)
    shortcut = Conv(name="b", channels=3, kernel=1)
    model = Model(
        name="any",
        input_shape=(2, 4, 5),
        layers=(Residual(layers=(inside, Relu()), shortcut=(shortcut,)), Relu()),
    )
    assert [type(step.layer) for step in model.elementary_steps()] == [Conv, Relu, Conv, Relu]
    assert model.forward_flops() == 2 * (2 * 20 * 3 * 2)
    assert list(model.parameter_shapes()) == ["a.weight", "a.bias", "b.weight", "b.bias"]


def test_lenet_parameters_in_canonical_order(lenet: Model) -> None:
    assert list(lenet.parameter_shapes().items()) == [
        ("conv1.weight", (6, 1, 5, 5)),
        ("conv1.bias", (6,)),
        ("conv2.weight", (16, 6, 5, 5)),
        ("conv2.bias", (16,)),
        ("dense1.weight", (120, 256)),
        ("dense1.bias", (120,)),
        ("dense2.weight", (84, 120)),
        ("dense2.bias", (84,)),
        ("dense3.weight", (10, 84)),
        ("dense3.bias", (10,)),
    ]


def test_weights_of_a_normalized_layer_in_canonical_order() -> None:
    assert list(MODELS["lenet-bn"].weight_shapes().items())[:8] == [
        ("conv1.weight", (6, 1, 5, 5)),
        ("conv1.bias", (6,)),
        ("bn1.weight", (6,)),
        ("bn1.bias", (6,)),
        ("bn1.running_mean", (6,)),
        ("bn1.running_var", (6,)),
        ("conv2.weight", (16, 6, 5, 5)),
        ("conv2.bias", (16,)),
    ]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (28, 5, 1, 0, 24),
        (28, 5, 1, 2, 28),
        (224, 11, 4, 0, 54),
        (96, 7, 2, 3, 48),
        (5, 5, 1, 0, 1),
        (6, 3, 2, 0, 2),
    ],
)
def test_conv_shape(size: int, kernel: int, stride: int, padding: int, expected: int) -> None:
    layer = Conv(name="conv", channels=7, kernel=kernel, stride=stride, padding=padding)
    assert layer.output_shape((3, size, size)) == (7, expected, expected)
    assert layer.parameter_shapes((3, size, size)) == {
        "conv.weight": (7, 3, kernel, kernel),
        "conv.bias": (7,),
    }


def test_shapes_need_not_be_square() -> None:
    assert Conv(name="conv", channels=2, kernel=3).output_shape((1, 5, 9)) == (2, 3, 7)
    assert MaxPool(size=3, stride=2).output_shape((4, 12, 7)) == (4, 5, 3)
    assert MaxPool(size=3, stride=2, padding=1).output_shape((4, 12, 7)) == (4, 6, 4)
    assert AveragePool(size=2, stride=2).output_shape((4, 12, 7)) == (4, 6, 3)
    assert GlobalAveragePool().output_shape((4, 12, 7)) == (4,)
    connection = DenseConnection(layers=(Conv(name="conv", channels=5, kernel=3, padding=1),))
    assert connection.output_shape((4, 12, 7)) == (9, 12, 7)
    assert Flatten().output_shape((2, 3, 4)) == (24,)
    assert Sigmoid().output_shape((2, 3, 4)) == (2, 3, 4)
    assert Dense(name="dense", units=5).output_shape((24,)) == (5,)


def test_a_field_that_no_layer_has_is_refused() -> None:
    table = {"kind": "conv", "name": "conv1", "channels": 6, "kernel": 5, "dilation": 2}
    with pytest.raises(msgspec.ValidationError, match="dilation"):
        record({"name": "m", "input_shape": [1, 9, 9], "layers": [table]}, Model)
