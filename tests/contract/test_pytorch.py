"""What the proof of every cell leaves open: PyTorch compiled, its dropout, layers and loader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import paths
from harness.spec.recipes import read_models

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

MODELS = read_models(paths.BENCHMARKS / "models.toml")

PRELUDE = """
import json, os, sys
from pathlib import Path
import numpy as np
import torch
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models, read_recipes
from impls.adapter import Setup
from impls.pytorch.adapter import create

MODELS = read_models(Path("benchmarks/models.toml"))
RECIPES = read_recipes(Path("benchmarks/recipes.toml"))

def new_adapter(recipe, **changes):
    recipe = RECIPES[recipe]
    adapter = create(Setup(**{
        "model": MODELS[recipe.model], "optimizer": recipe.optimizer, "batch_size": 2,
        "mode": "eager", "device": "cpu", "threads": 2, "dropout": False, **changes,
    }))
    adapter.load_weights(initial_weights(MODELS[recipe.model], recipe.init, 1))
    return adapter

def batches(shape, steps, size):
    generator = np.random.RandomState(2)
    images = generator.rand(steps, size, *shape).astype(np.float32)
    return images, generator.randint(10, size=(steps, size)).astype(np.int64)

def distance(one, other):
    return max(float(np.abs(one[name] - other[name]).max()) for name in other)
"""

COMPILED = """
from torch._dynamo.utils import counters
images, labels = batches((1, 28, 28), 4, 32)
adapter = new_adapter("lenet-bn", mode="compiled", batch_size=32)
found = {"graphs": [], "kept": []}

def note():
    found["graphs"].append(counters["stats"]["unique_graphs"])

for _ in range(2):
    adapter.train(adapter.stage(images, labels))
    note()
    before = adapter.weights()
    adapter.evaluate(adapter.stage(images[:1, :9], labels[:1, :9]))
    adapter.logits(images[0])
    adapter.layers()
    found["kept"].append(distance(adapter.weights(), before))
    adapter.load_weights(before)
    adapter.train(adapter.stage(images, labels))
    note()
adapter.train(adapter.stage(images[:1, :7], labels[:1, :7]))
note()
found["breaks"] = sum(counters["graph_break"].values())
print(json.dumps(found))
"""

DROPOUT = """
images, labels = batches((1, 224, 224), 1, 2)
found = {}

def trained(adapter):
    adapter.load_weights(initial_weights(MODELS["nin"], "xavier", 1))
    adapter.train(adapter.stage(images, labels))
    return adapter.weights()

without = trained(new_adapter("nin"))
other_seed = trained(new_adapter("nin", dropout=True, seed=2))
for mode in ("eager", "compiled"):
    adapter = new_adapter("nin", mode=mode, dropout=True, seed=1)
    one = trained(adapter)
    found[mode] = {
        "again": distance(one, trained(adapter)),
        "other seed": distance(one, other_seed),
        "without": distance(one, without),
    }
print(json.dumps(found))
"""

LAYERS = """
found = {}
for recipe in ("lenet-sgd", "lenet-bn", "nin", "resnet18", "densenet"):
    found[RECIPES[recipe].model] = new_adapter(recipe).layers()
print(json.dumps(found))
"""

IMPORTED = """
print(json.dumps("torchvision" in sys.modules))
"""


@pytest.fixture
def answer(answer_in: Callable[..., Any]) -> Callable[..., Any]:
    """What a program prints last, run in PyTorch's own environment."""
    return lambda program, *arguments, **how: answer_in(
        "pytorch", PRELUDE + program, *arguments, **how
    )


def test_a_model_is_compiled_once_for_each_batch_size_and_evaluation_leaves_it_as_it_is(answer):
    found = answer(COMPILED)
    assert found["graphs"] == [1, 1, 1, 1, 2]
    assert found["breaks"] == 0
    assert found["kept"] == [0.0, 0.0]


def test_dropout_masks_start_again_from_the_seed(answer):
    for mode, found in answer(DROPOUT).items():
        assert found["again"] == 0.0, mode
        assert min(found["other seed"], found["without"]) > 1e-4, mode


def test_layers_are_those_of_the_definition(answer):
    for name, lines in answer(LAYERS).items():
        with_parameters = [line for line in lines if line[3]]
        expected = [
            (step.layer.name, tuple(step.output_shape))
            for step in MODELS[name].elementary_steps()
            if step.layer.parameter_shapes(step.input_shape)
        ]
        assert [(line[0], tuple(line[2])) for line in with_parameters] == expected
        assert all(line[0] == "" for line in lines if not line[3])


def test_torchvision_is_left_alone_until_a_loader_is_opened(answer):
    assert not answer(IMPORTED, loader=True)
