"""What the proof of every cell leaves open: Keras's ``fit`` and ``tf.data``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PRELUDE = """
import json, sys
from pathlib import Path
import numpy as np
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models, read_recipes
from impls.adapter import Setup
from impls.keras.adapter import create

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
for mode in ("compiled", "fit"):
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
found["apart"] = distance(weights["fit"], weights["compiled"])
print(json.dumps(found))
"""

LOADER = """
from impls.keras.loader import Loader
images = np.random.RandomState(3).randint(256, size=(100, 28, 28)).astype(np.uint8)
labels = (np.arange(100) % 10).astype(np.uint8)
expected = np.sort(images.reshape(100, -1).sum(axis=1, dtype=np.int64)).tolist()
pipeline = {"batch_size": 32, "seed": 7}
found = {"runs": {}}
for mode, workers in (("eager", 0), ("compiled", 2), ("fit", 0), ("fit", 2)):
    adapter = create(setup("lenet-sgd", mode=mode, seed=7, batch_size=32))
    adapter.load_weights(weights_of("lenet-sgd"))
    adapter.open_loader(images, labels, workers)
    for steps in (3, 5):
        adapter.train_from_loader(steps)
    loaded, metrics = adapter.weights(), adapter.take_metrics()
    loader = Loader(images, labels, size=(28, 28), workers=workers, **pipeline)
    drawn = [[array.numpy() for array in loader.batches.get_next()] for _ in range(8)]
    pixels = np.concatenate([batch for batch, _ in drawn]).reshape(200, -1)
    sums = np.rint((pixels.astype(np.float64) * 255).sum(axis=1)).astype(int)
    adapter.load_weights(weights_of("lenet-sgd"))
    for batch, answers in drawn:
        adapter.train(adapter.stage(batch.transpose(0, 3, 1, 2)[np.newaxis], answers[np.newaxis]))
    found["runs"][f"{mode}, {workers} workers"] = {
        "sizes": [len(answers) for _, answers in drawn],
        "epochs_are_whole": [sorted(sums[i:i + 100].tolist()) == expected for i in (0, 100)],
        "epochs_are_alike": sums[:100].tolist() == sums[100:].tolist(),
        "examples": metrics.examples,
        "from_staged": distance(loaded, adapter.weights()),
        "loss": abs(metrics.loss_sum - adapter.take_metrics().loss_sum) / metrics.loss_sum,
    }
large = Loader(images, labels, size=(96, 96), workers=0, **pipeline).batches.get_next()[0].numpy()
found["large"] = [list(large.shape), str(large.dtype), float(large.min()), float(large.max())]
print(json.dumps(found))
"""


@pytest.fixture
def answer(answer_in: Callable[..., Any]) -> Callable[..., Any]:
    """What a program prints last, run in Keras's own environment."""
    return lambda program, *arguments, **how: answer_in(
        "keras", PRELUDE + program, *arguments, **how
    )


def test_fit_is_the_written_training_and_its_sums_are_exact(answer):
    found = answer(FIT)
    compiled, fit = found["compiled"], found["fit"]
    assert fit["sums"][1:] == compiled["sums"][1:] == [compiled["sums"][1], 5 * 32 + 7]
    assert fit["sums"][0] == pytest.approx(compiled["sums"][0], rel=1e-6)
    assert fit["test"][1:] == compiled["test"][1:]
    assert fit["test"][0] == pytest.approx(compiled["test"][0], rel=1e-6)
    assert fit["rest"] == compiled["rest"] == [0.0, 0, 0], "an evaluation adds nothing"
    assert found["apart"] < 1e-6
    assert fit["again"] < 1e-6, "load_weights makes the optimizer as new"


def test_training_from_the_loader_is_training_on_its_batches(answer):
    found = answer(LOADER)
    assert found["large"][:2] == [[32, 96, 96, 1], "float32"]
    assert 0.0 <= found["large"][2] < found["large"][3] <= 1.0
    assert len(found["runs"]) == 4
    for run in found["runs"].values():
        assert run["sizes"] == [32, 32, 32, 4] * 2
        assert run["epochs_are_whole"] == [True, True]
        assert not run["epochs_are_alike"]
        assert run["examples"] == 200
        assert run["from_staged"] < 1e-6
        assert run["loss"] < 1e-6
