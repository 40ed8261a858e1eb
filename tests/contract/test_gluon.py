"""What the proof of every cell leaves open: Gluon's dropout, layers and ``DataLoader``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PRELUDE = """
import json, os, sys
from pathlib import Path
import numpy as np
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from impls.adapter import Setup, Sgd
from impls.gluon.adapter import create

MODELS = read_models(Path("benchmarks/models.toml"))

def setup(model, **changes):
    return Setup(**{
        "model": MODELS[model], "optimizer": Sgd(learning_rate=0.125), "batch_size": 2,
        "mode": "compiled", "device": "cpu", "threads": 1, "dropout": False, **changes,
    })

def weights_of(model):
    return initial_weights(MODELS[model], "xavier", 1)

def batches(model, steps, size):
    generator = np.random.RandomState(2)
    images = generator.rand(steps, size, *MODELS[model].input_shape).astype(np.float32)
    return images, generator.randint(10, size=(steps, size)).astype(np.int64)

def distance(one, other, names):
    return max([float(np.abs(one[name] - other[name]).max()) for name in names], default=0.0)
"""

DROPOUT = """
images, labels = batches("nin", 1, 2)
found = {}
for mode in ("eager", "compiled"):
    for name, changes in {
        "without": {}, "with": {"dropout": True}, "again": {"dropout": True},
        "another seed": {"dropout": True, "seed": 1},
    }.items():
        adapter = create(setup("nin", mode=mode, **changes))
        adapter.load_weights(weights_of("nin"))
        staged = adapter.stage(images, labels)
        inference = adapter.evaluate(staged).loss_sum
        adapter.train(staged)
        found[f"{mode}, {name}"] = [inference, adapter.take_metrics().loss_sum]
print(json.dumps(found))
"""

LAYERS = """
adapter = create(setup("resnet18"))
before = adapter.layers()
images, labels = batches("resnet18", 1, 2)
adapter.train(adapter.stage(images, labels))
graph = adapter._classifier._cached_op
found = {"same": adapter.layers() == before, "kept": adapter._classifier._cached_op is graph}
adapter.train(adapter.stage(images, labels))
found["examples"] = adapter.take_metrics().examples
found["layers"] = [(line.name, line.kind, line.output_shape) for line in before[:5]]
found["parameters"] = sum(line.parameters for line in before)
print(json.dumps(found))
"""

LOADER = """
import psutil
from impls.gluon.loader import endless_batches
images = np.random.RandomState(3).randint(256, size=(100, 28, 28)).astype(np.uint8)
labels = (np.arange(100) % 10).astype(np.uint8)
scaled = np.divide(images, np.float32(255), dtype=np.float32)
expected = sorted(image.tobytes() for image in scaled)
found, keep = {"runs": {}, "children": []}, []
for mode, workers in (("eager", 0), ("compiled", 2)):
    this = setup("lenet", mode=mode, seed=7, batch_size=32)
    adapter = create(this)
    adapter.load_weights(weights_of("lenet"))
    adapter.open_loader(images, labels, workers)
    for steps in (3, 5):
        adapter.train_from_loader(steps)
    loaded, metrics = adapter.weights(), adapter.take_metrics()
    source = endless_batches(images, labels, this, workers)
    drawn = [[array.asnumpy() for array in next(source)] for _ in range(8)]
    seen = [image.tobytes() for batch, _ in drawn for image in batch]
    adapter.load_weights(weights_of("lenet"))
    for batch, answers in drawn:
        adapter.train(adapter.stage(batch[np.newaxis], answers[np.newaxis].astype(np.int64)))
    found["runs"][f"{mode}, {workers} workers"] = {
        "sizes": [len(answers) for _, answers in drawn],
        "epochs_are_whole": [sorted(part) == expected for part in (seen[:100], seen[100:])],
        "epochs_are_alike": seen[:100] == seen[100:],
        "examples": metrics.examples,
        "from_staged": distance(loaded, adapter.weights(), loaded),
        "loss": abs(metrics.loss_sum - adapter.take_metrics().loss_sum) / metrics.loss_sum,
    }
    keep += [adapter, source]
large = next(endless_batches(images, labels, setup("resnet18", batch_size=32), 0))[0].asnumpy()
found["large"] = [list(large.shape), str(large.dtype), float(large.min()), float(large.max())]
for child in psutil.Process().children(recursive=True):
    found["children"].append([child.pid, os.getpgid(child.pid) == os.getpgid(0)])
print(json.dumps(found))
"""


@pytest.fixture
def answer(answer_in: Callable[..., Any]) -> Callable[..., Any]:
    """What a program prints last, run in Gluon's own environment."""
    return lambda program, *arguments, **how: answer_in(
        "gluon",
        PRELUDE + program,
        *arguments,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **how,
    )


def test_dropout_can_be_left_out_and_follows_the_seed(answer):
    found = answer(DROPOUT)
    for mode in ("eager", "compiled"):
        without, *others = (
            found[f"{mode}, {name}"] for name in ("without", "with", "again", "another seed")
        )
        assert without[1] == pytest.approx(without[0], rel=1e-6)
        for inference, _ in others:
            assert inference == pytest.approx(without[0], rel=1e-6), "inference drops nothing"
        (_, one), (_, again), (_, another) = others
        assert one == again
        assert len({one, another, without[1]}) == 3


def test_asking_for_layers_leaves_what_is_compiled_as_it_is(answer):
    found = answer(LAYERS)
    assert found["same"]
    assert found["kept"]
    assert found["examples"] == 4
    assert found["parameters"] == 11_178_378
    assert found["layers"] == [
        ["conv1", "Conv2D", [64, 48, 48]],
        ["bn1", "BatchNorm", [64, 48, 48]],
        ["", "Activation", [64, 48, 48]],
        ["", "MaxPool2D", [64, 24, 24]],
        ["stage1.block1.conv1", "Conv2D", [64, 24, 24]],
    ]


def test_training_from_the_loader_is_training_on_its_batches(answer):
    before = set(Path("/dev/shm").glob("*"))
    found = answer(LOADER)
    assert found["large"][:2] == [[32, 1, 96, 96], "float32"]
    assert 0.0 <= found["large"][2] < found["large"][3] <= 1.0
    assert len(found["runs"]) == 2
    for run in found["runs"].values():
        assert run["sizes"] == [32, 32, 32, 4] * 2
        assert run["epochs_are_whole"] == [True, True]
        assert not run["epochs_are_alike"]
        assert run["examples"] == 200
        assert run["from_staged"] < 1e-6
        assert run["loss"] < 1e-6
    # Two loaders with two workers each were open until the end of the process.
    assert len(found["children"]) == 4
    assert all(same_group for _, same_group in found["children"])
    assert not [pid for pid, _ in found["children"] if Path(f"/proc/{pid}").exists()]
    assert not [path for path in set(Path("/dev/shm").glob("*")) - before if "mx" in path.name]
