"""What the proof of every cell leaves open: what JAX compiles and when, its dropout and layers.

What is JAX's own doing is held of Keras on JAX too.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import pytest

from harness import paths
from harness.spec.implementations import read_implementation
from harness.spec.recipes import read_models

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

MODELS = read_models(paths.BENCHMARKS / "models.toml")
RECIPES = ("lenet-bn", "lenet-adam")
MODES = {name: list(read_implementation(paths.IMPLS / name).modes) for name in ("jax", "keras_jax")}

PRELUDE = """
import json, sys
from pathlib import Path
import jax
import numpy as np
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models, read_recipes
from impls.adapter import Setup
from impls.NAME.adapter import create

MODELS = read_models(Path("benchmarks/models.toml"))
RECIPES = read_recipes(Path("benchmarks/recipes.toml"))

def weights_of(recipe):
    return initial_weights(MODELS[RECIPES[recipe].model], RECIPES[recipe].init, 1)

def new_adapter(recipe, **changes):
    adapter = create(Setup(**{
        "model": MODELS[RECIPES[recipe].model], "optimizer": RECIPES[recipe].optimizer,
        "batch_size": 2, "mode": "compiled", "device": "cpu", "threads": 1, "dropout": False,
        **changes,
    }))
    adapter.load_weights(weights_of(recipe))
    return adapter

def batches(shape, steps, size):
    generator = np.random.RandomState(2)
    images = generator.rand(steps, size, *shape).astype(np.float32)
    return images, generator.randint(10, size=(steps, size)).astype(np.int64)

def distance(one, other):
    return max(float(np.abs(one[name] - other[name]).max()) for name in other)
"""

COMPILED = """
made = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **more: made.append(event) if event.endswith("backend_compile_duration")
    else None
)
images, labels = batches((1, 28, 28), 45, 8)
found = {}
for recipe in ("lenet-bn", "lenet-adam"):
    for mode in sys.argv[1:]:
        adapter = new_adapter(recipe, mode=mode, batch_size=8)

        def train(steps, size=8):
            adapter.train(adapter.stage(images[:steps, :size], labels[:steps, :size]))
            adapter.synchronize()

        def use():
            adapter.evaluate(adapter.stage(images[:2], labels[:2]))
            adapter.logits(images[0])
            adapter.take_metrics()
            return adapter.weights()

        # As a worker warms up, whose windows then have other numbers of steps.
        for steps in (1, 5):
            train(steps)
        train(1, 3)
        use()
        before = len(made)
        for steps in (20, 2, 45, 44):
            adapter.load_weights(weights_of(recipe))
            train(steps)
            train(1, 3)
            use()
        kept = use()
        found[f"{recipe} {mode}"] = [before > 0, len(made) - before, distance(use(), kept)]
print(json.dumps(found))
"""

READ = """
images, labels = batches((1, 28, 28), 3, 8)
found = {}
for mode in sys.argv[1:]:
    adapter = new_adapter("lenet-sgd", mode=mode, batch_size=8)
    read, copies = [adapter.weights()], []
    for _ in range(3):
        copies.append({name: array.copy() for name, array in read[-1].items()})
        adapter.train(adapter.stage(images, labels))
        adapter.synchronize()
        read.append(adapter.weights())
    kept = max(distance(one, other) for one, other in zip(read, copies))
    found[mode] = [kept, distance(read[0], weights_of("lenet-sgd")), distance(*read[-2:])]
print(json.dumps(found))
"""

DROPOUT = """
images, labels = batches((1, 224, 224), 1, 2)
found = {}

def trained(adapter):
    adapter.load_weights(weights_of("nin"))
    adapter.train(adapter.stage(images, labels))
    return adapter.weights()

without = trained(new_adapter("nin"))
other_seed = trained(new_adapter("nin", dropout=True, seed=2))
for mode in sys.argv[1:]:
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
    adapter = new_adapter(recipe)
    found[RECIPES[recipe].model] = adapter.layers()
    assert adapter.layers() == found[RECIPES[recipe].model]
print(json.dumps(found))
"""

IMPORTED = """
print(json.dumps("grain" in sys.modules))
"""


@pytest.fixture
def answer(answer_in: Callable[..., Any]) -> Callable[..., Any]:
    """What a program prints last, run in JAX's own environment, or in that of Keras on it."""

    def answer(program: str, *arguments: str, name: str = "jax", **how: Any) -> Any:
        return answer_in(name, PRELUDE.replace("NAME", name) + program, *arguments, **how)

    return answer


@pytest.mark.parametrize("name", MODES)
def test_nothing_is_compiled_once_a_worker_is_warm_whatever_the_number_of_steps(answer, name):
    found = answer(COMPILED, *MODES[name], name=name)
    assert set(found) == {f"{recipe} {mode}" for recipe in RECIPES for mode in MODES[name]}
    for cell, (compiled_before, compiled_later, moved) in found.items():
        assert compiled_before, cell
        assert compiled_later == 0, cell
        assert moved == 0.0, cell


@pytest.mark.parametrize("name", MODES)
def test_weights_that_were_read_stay_as_they_were_while_memory_is_handed_on(answer, name):
    for mode, (kept, loaded, moved) in answer(READ, *MODES[name], name=name).items():
        assert kept == 0.0, mode
        assert loaded == 0.0, mode
        assert moved > 1e-5, mode


@pytest.mark.parametrize("name", MODES)
def test_dropout_masks_start_again_from_the_seed(answer, name):
    for mode, found in answer(DROPOUT, *MODES[name], name=name).items():
        assert found["again"] == 0.0, mode
        assert min(found["other seed"], found["without"]) > 1e-4, mode


def test_layers_are_those_of_the_definition(answer):
    for name, lines in answer(LAYERS).items():
        with_parameters = [line for line in lines if line[3]]
        expected = [
            (step.layer.name, step.output_shape, sum(map(prod, shapes.values())))
            for step in MODELS[name].elementary_steps()
            if (shapes := step.layer.parameter_shapes(step.input_shape))
        ]
        # Channels last, as Flax has them; a residual block's shortcut comes at its end there too.
        found = [(line[0], (*line[2][-1:], *line[2][:-1]), line[3]) for line in with_parameters]
        assert found == expected
        assert all(line[0] == "" for line in lines if not line[3])


def test_grain_is_left_alone_until_a_loader_is_opened(answer):
    assert not answer(IMPORTED, loader=True)
