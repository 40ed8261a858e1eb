"""What layers are called that have no names of their own."""

from __future__ import annotations

from itertools import pairwise

from harness.paths import BENCHMARKS
from harness.spec.recipes import read_models
from impls.pieces import layer_steps, measured_layers

MODELS = read_models(BENCHMARKS / "models.toml")


def test_layers_of_lenet_have_the_names_that_its_code_gives_them():
    assert list(layer_steps(MODELS["lenet"])) == [
        "conv1", "sigmoid1", "pool1", "conv2", "sigmoid2", "pool2", "flatten1",
        "dense1", "sigmoid3", "dense2", "sigmoid4", "dense3",
    ]  # fmt: skip


def test_names_are_unique_and_shapes_fit_together():
    for model in MODELS.values():
        steps = list(layer_steps(model).values())
        assert len(steps) in (0, len(model.layers))
        for one, other in pairwise(steps):
            assert one.output_shape == other.input_shape


def test_models_with_branches_are_not_taken_apart():
    assert layer_steps(MODELS["resnet18"]) == layer_steps(MODELS["densenet"]) == {}


def test_flattening_is_not_worth_measuring():
    lenet = MODELS["lenet"]
    assert set(layer_steps(lenet)) - set(measured_layers(lenet)) == {"flatten1"}
