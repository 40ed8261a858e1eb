"""In float64 every model of every implementation computes what the oracle computes.

In float32 networks with BatchNorm amplify rounding until a proof says little; in float64 any
difference of meaning stands out. The code is the one that is measured: ``Setup.precision`` alone
differs. Half of each image is black, as in Fashion-MNIST: pooling meets equals.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from harness import paths
from harness.spec.implementations import Implementation, read_implementations
from harness.spec.recipes import read_models, read_recipes

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

MODELS = read_models(paths.BENCHMARKS / "models.toml")
RECIPES = read_recipes(paths.BENCHMARKS / "recipes.toml")
PIXELS = sorted({model.input_shape[1] for model in MODELS.values()})
FRAMEWORKS = [one for one in read_implementations(paths.IMPLS).values() if one.role == "framework"]
OTHER = {"biased": "unbiased", "unbiased": "biased"}

PROGRAM = """
import json, sys
from importlib import import_module
from pathlib import Path
import numpy as np
from harness.analysis.deviations import relative_deviation
from harness.datasets.weights import initial_weights
from harness.spec.recipes import held_by_float32, read_models, read_recipes
from impls.adapter import Setup
from impls.reference.adapter import create as create_reference

name, formulas = sys.argv[1], json.loads(sys.argv[2])
create = import_module(f"impls.{name}.adapter").create
MODELS = read_models(Path("benchmarks/models.toml"))
RECIPES = read_recipes(Path("benchmarks/recipes.toml"))

def seen(adapter, weights, images, labels):
    adapter.load_weights(weights)
    first = adapter.logits(images[0])
    adapter.train(adapter.stage(images[:1], labels[:1]))
    found = {"logits": first, **adapter.weights()}
    # Steps 2 and 3 in one call, the last thing that a window is made of.
    adapter.train(adapter.stage(images[1:], labels[1:]))
    metrics = adapter.take_metrics()
    later = {f"{key} later": array for key, array in adapter.weights().items()}
    found |= later | {"loss": np.array(metrics.loss_sum)}
    return found | {"inference later": adapter.logits(images[0])}

found = {}
for recipe, mode in (each.split(",") for each in sys.argv[3:]):
    model = MODELS[RECIPES[recipe].model]
    size = {28: 4, 96: 4, 224: 1}[model.input_shape[1]]
    generator = np.random.RandomState(2)
    images = generator.rand(3, size, *model.input_shape).astype(np.float32)
    images[..., : model.input_shape[2] // 2] = 0
    labels = generator.randint(10, size=(3, size)).astype(np.int64)
    setup = dict(model=model, optimizer=held_by_float32(RECIPES[recipe].optimizer),
                 batch_size=size, device="cpu", threads=1, dropout=False)
    weights = initial_weights(model, RECIPES[recipe].init, 1)
    cell = create(Setup(**setup, mode=mode, precision="float64"))
    cell = seen(cell, weights, images, labels)
    oracle = create_reference(Setup(**setup, mode="eager", **formulas))
    oracle = seen(oracle, weights, images, labels)
    assert set(cell) == set(oracle)
    assert {array.dtype for array in cell.values()} == {np.dtype("float64")}
    deviations = {"parameters": 0.0, "statistics": 0.0}
    for key in oracle:
        kind = "statistics" if "running" in key or "inference" in key else "parameters"
        deviations[kind] = max(deviations[kind], relative_deviation(cell[key], oracle[key]))
    found[f"{recipe} {mode}"] = deviations
print(json.dumps(found))
"""


@pytest.fixture
def deviations(answer_in: Callable[..., Any]) -> Callable[..., Any]:
    """The largest deviations of a framework from the oracle, by ``recipe mode``."""

    def deviations(one: Implementation, cells: list[str], variance_formula: str) -> Any:
        formulas = {
            "adam_formula": one.adam_formula,
            "momentum_formula": one.momentum_formula,
            "variance_formula": variance_formula,
        }
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return answer_in(one.name, PROGRAM, one.name, json.dumps(formulas), *cells, env=variables)

    return deviations


def recipes_of(pixels: int) -> list[str]:
    """Those whose images have this height."""
    return [name for name, one in RECIPES.items() if MODELS[one.model].input_shape[1] == pixels]


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize("one", FRAMEWORKS, ids=lambda one: one.name)
def test_every_model_is_the_oracles_in_float64(deviations, one, pixels):
    cells = [f"{recipe},{one.default_mode}" for recipe in recipes_of(pixels)]
    found = deviations(one, cells, one.variance_formula)
    assert list(found) == [cell.replace(",", " ") for cell in cells]
    hold(one, found)


@pytest.mark.parametrize("one", FRAMEWORKS, ids=lambda one: one.name)
def test_so_it_is_in_every_mode(deviations, one):
    others = [mode for mode in one.float64.modes if mode != one.default_mode]
    found = deviations(one, [f"lenet-bn,{mode}" for mode in others], one.variance_formula)
    assert len(found) == len(others)
    hold(one, found)


def hold(one: Implementation, found: dict[str, dict[str, float]]) -> None:
    """Every cell is as near to the oracle as its implementation says."""
    for cell, largest in found.items():
        assert largest["parameters"] <= one.float64.parameters, cell
        assert largest["statistics"] <= one.float64.statistics, cell


@pytest.mark.parametrize("one", FRAMEWORKS, ids=lambda one: one.name)
def test_the_other_formula_of_the_running_variance_is_told_apart(deviations, one):
    cell = f"lenet-bn,{one.default_mode}"
    found = deviations(one, [cell], OTHER[one.variance_formula])
    assert found[cell.replace(",", " ")]["statistics"] > 1e-4


@pytest.mark.parametrize("one", FRAMEWORKS, ids=lambda one: one.name)
def test_float64_is_offered_in_every_mode(one):
    assert set(one.float64.modes) == set(one.modes)
