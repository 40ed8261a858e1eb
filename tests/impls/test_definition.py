"""The tables of models: shapes, parameters and their order."""

from __future__ import annotations

import math

import msgspec
import pytest

from harness.paths import BENCHMARKS
from harness.spec.recipes import read_models
from impls.definition import Conv, Dense, Flatten, MaxPool, Model, Sigmoid

MODELS = BENCHMARKS / "models.toml"


@pytest.fixture(scope="module")
def lenet() -> Model:
    return read_models(MODELS)["lenet"]


def test_lenet_shapes(lenet: Model) -> None:
    assert [output for _, _, output in lenet.shapes()] == [
        (6, 24, 24),
        (6, 24, 24),
        (6, 12, 12),
        (16, 8, 8),
        (16, 8, 8),
        (16, 4, 4),
        (256,),
        (120,),
        (120,),
        (84,),
        (84,),
        (10,),
    ]


def test_each_layer_takes_what_the_one_before_gives(lenet: Model) -> None:
    steps = list(lenet.shapes())
    assert steps[0][1] == lenet.input_shape
    assert [shape for _, shape, _ in steps[1:]] == [output for _, _, output in steps[:-1]]


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


def test_lenet_has_44426_parameters(lenet: Model) -> None:
    assert sum(math.prod(shape) for shape in lenet.parameter_shapes().values()) == 44_426


def test_every_model_ends_in_one_logit_a_class() -> None:
    for model in read_models(MODELS).values():
        assert list(model.shapes())[-1][2] == (Model.CLASSES,), model.name


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
    assert Flatten().output_shape((2, 3, 4)) == (24,)
    assert Sigmoid().output_shape((2, 3, 4)) == (2, 3, 4)
    assert Dense(name="dense", units=5).output_shape((24,)) == (5,)


def test_a_field_that_no_layer_has_is_refused() -> None:
    table = {"kind": "conv", "name": "conv1", "channels": 6, "kernel": 5, "dilation": 2}
    with pytest.raises(msgspec.ValidationError, match="dilation"):
        msgspec.convert({"name": "m", "input_shape": [1, 9, 9], "layers": [table]}, Model)
