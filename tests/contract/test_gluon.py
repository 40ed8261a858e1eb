"""What the proof of every cell leaves open: Gluon's dropout, layers and ``DataLoader``."""

from __future__ import annotations

import os
from collections.abc import Callable
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
