"""What the proof of every cell leaves open: Keras's ``fit`` and ``tf.data``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import paths
from harness.spec.implementations import read_implementations

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PRELUDE = """
import json, sys
from pathlib import Path
import numpy as np
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models, read_recipes
from impls.adapter import Setup
from impls.NAME.adapter import create

MODELS = read_models(Path("benchmarks/models.toml"))
RECIPES = read_recipes(Path("benchmarks/recipes.toml"))

def setup(recipe, **changes):
    return Setup(**{
        "model": MODELS[RECIPES[recipe].model], "optimizer": RECIPES[recipe].optimizer,
        "batch_size": 2, "device": "cpu", "threads": 2, "dropout": False, **changes,
    })

def weights_of(recipe):
    return initial_weights(MODELS[RECIPES[recipe].model], RECIPES[recipe].init, 1)

def batches(shape, steps, size):
    generator = np.random.RandomState(2)
    images = generator.rand(steps, size, *shape).astype(np.float32)
    return images, generator.randint(10, size=(steps, size)).astype(np.int64)

def distance(one, other):
    return max(float(np.abs(one[name] - other[name]).max()) for name in other)
"""

FIT = """
found, weights = {}, {}
images, labels = batches((1, 28, 28), 5, 32)
for mode in (sys.argv[1], "fit"):
    adapter = create(setup("lenet-adam", mode=mode, batch_size=32))
    runs = []
    for _ in range(2):
        adapter.load_weights(weights_of("lenet-adam"))
        adapter.train(adapter.stage(images, labels))
        adapter.train(adapter.stage(images[:1, :7], labels[:1, :7]))
        sums = adapter.take_metrics()
        test = adapter.evaluate(adapter.stage(images[:1], labels[:1]))
        runs.append(adapter.weights())
    weights[mode] = runs[0]
    rest = adapter.take_metrics()
    found[mode] = {"sums": sums, "test": test, "rest": rest, "again": distance(*runs)}
found["apart"] = distance(weights["fit"], weights[sys.argv[1]])
print(json.dumps(found))
"""


BACK_ENDS = {
    name: one for name, one in read_implementations(paths.IMPLS).items() if one.package == "keras"
}


@pytest.mark.parametrize("name", BACK_ENDS)
def test_fit_is_the_written_training_and_its_sums_are_exact(
    answer_in: Callable[..., Any], name: str
) -> None:
    mode = BACK_ENDS[name].default_mode
    found = answer_in(name, PRELUDE.replace("NAME", name) + FIT, mode)
    written, fit = found[mode], found["fit"]
    assert fit["sums"][1:] == written["sums"][1:] == [written["sums"][1], 5 * 32 + 7]
    assert fit["sums"][0] == pytest.approx(written["sums"][0], rel=1e-6)
    assert fit["test"][1:] == written["test"][1:]
    assert fit["test"][0] == pytest.approx(written["test"][0], rel=1e-6)
    assert fit["rest"] == written["rest"] == [0.0, 0, 0], "an evaluation adds nothing"
    assert found["apart"] < 1e-6
    assert fit["again"] < 1e-6, "load_weights makes the optimizer as new"
