"""Loss and hits are added up alike by every framework: within ``train``, and exactly."""

from __future__ import annotations

import os

import pytest

from harness import paths
from harness.spec.implementations import read_implementations

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PROGRAM = """
import importlib, json, math, sys
from pathlib import Path
import numpy as np
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from impls.adapter import Setup, Sgd

framework, mode, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = read_models(Path("benchmarks/models.toml"))["lenet"]
adapter = importlib.import_module(f"impls.{framework}.adapter").create(Setup(
    model=model, optimizer=Sgd(learning_rate=0.125), batch_size=16, mode=mode, device="cpu",
    threads=1,
))
generator = np.random.RandomState(3)
images = generator.rand(steps, 16, *model.input_shape).astype(np.float32)
labels = generator.randint(10, size=(steps, 16)).astype(np.int64)
weights = initial_weights(model, "xavier", 1)

def metrics_of(*sizes):
    # What calls of so many steps each have added up, taken once, after the last.
    start = 0
    for size in sizes:
        adapter.train(adapter.stage(images[start:start + size], labels[start:start + size]))
        start += size
    adapter.synchronize()
    return adapter.take_metrics()

adapter.load_weights(weights)
alone = []
for step in range(steps):
    adapter.train(adapter.stage(images[step:step + 1], labels[step:step + 1]))
    alone.append(adapter.take_metrics())
adapter.load_weights(weights)
whole = metrics_of(steps)
after = adapter.take_metrics()
adapter.load_weights(weights)
parts = metrics_of(2, *[1] * (steps - 2))
expected = math.fsum(each.loss_sum for each in alone)
print(json.dumps({
    "loss": [abs(each.loss_sum - expected) / expected for each in (whole, parts)],
    "correct": [each.correct for each in (whole, parts)],
    "expected": sum(each.correct for each in alone),
    "examples": [each.examples for each in (whole, parts)],
    "after": list(after),
}))
"""

CELLS = [
    (name, mode)
    for name, implementation in read_implementations(paths.IMPLS).items()
    if implementation.role == "framework"
    for mode in implementation.modes
]
STEPS = 150


@pytest.mark.parametrize(("framework", "mode"), CELLS)
def test_the_sums_of_a_window_are_those_of_its_steps(answer_in, framework, mode):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = answer_in(framework, PROGRAM, framework, mode, str(STEPS), env=environment)
    # Keras's own fit keeps float32 sums, as it does for everybody who calls it.
    limit = 2e-6 if mode == "fit" else 1e-7
    assert max(found["loss"]) <= limit
    assert found["correct"] == [found["expected"]] * 2
    assert found["examples"] == [16 * STEPS] * 2
    assert found["after"] == [0, 0, 0]
