"""Where the real frameworks say that weights and results are, in their own environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .drawn import FRAMEWORKS

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

PROGRAM = """
import importlib, json, os, sys
os.environ["CUDA_VISIBLE_DEVICES"] = ""
from pathlib import Path
import numpy as np
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models, read_recipes
from impls.adapter import Setup

name, *modes = sys.argv[1:]
create = importlib.import_module(f"impls.{name}.adapter").create
model = read_models(Path("benchmarks/models.toml"))["lenet-bn"]
recipe = read_recipes(Path("benchmarks/recipes.toml"))["lenet-bn"]
generator = np.random.RandomState(2)
images = generator.rand(2, 8, *model.input_shape).astype(np.float32)
labels = generator.randint(10, size=(2, 8)).astype(np.int64)

def trained(mode, ask):
    adapter = create(Setup(
        model=model, optimizer=recipe.optimizer, batch_size=8, mode=mode, device="cpu", threads=1,
    ))
    adapter.load_weights(initial_weights(model, recipe.init, 1))
    found = []
    for _ in range(2):
        adapter.train(adapter.stage(images, labels))
        metrics = adapter.take_metrics()
        if ask:
            found = [
                adapter.device(), adapter.result_device(), adapter.peak_device_memory_bytes(),
            ]
    return found, metrics, {name: array.tolist() for name, array in adapter.weights().items()}

found = {}
for mode in modes:
    places, *asked = trained(mode, True)
    _, *left_alone = trained(mode, False)
    found[mode] = [places, asked == left_alone]
print(json.dumps(found))
"""

TWO_PLACES = """
import json
from pathlib import Path
import torch
from harness.spec.recipes import read_models, read_recipes
from impls.adapter import Setup
from impls.pytorch.adapter import create

recipe = read_recipes(Path("benchmarks/recipes.toml"))["lenet-sgd"]
adapter = create(Setup(
    model=read_models(Path("benchmarks/models.toml"))["lenet"], optimizer=recipe.optimizer,
    batch_size=2, mode="eager", device="cpu", threads=1,
))
*_, last = (module for module in adapter._model.modules() if hasattr(module, "bias"))
last.bias = torch.nn.Parameter(last.bias.to("meta"))
print(json.dumps(adapter.device()))
"""

REPLAYED = """
import json, warnings
import numpy as np
import torch
from pathlib import Path
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models, read_recipes
from impls.adapter import Setup
from impls.pytorch.adapter import _compiled_forward, create

warnings.simplefilter("ignore")
model = read_models(Path("benchmarks/models.toml"))["lenet"]
recipe = read_recipes(Path("benchmarks/recipes.toml"))["lenet-sgd"]
generator = np.random.RandomState(2)
images = generator.rand(5, 8, 1, 28, 28).astype(np.float32)
labels = generator.randint(10, size=(5, 8)).astype(np.int64)
found = []
for forward in (None, _compiled_forward(torch.device("cuda"))):
    adapter = create(Setup(
        model=model, optimizer=recipe.optimizer, batch_size=8, mode="eager", device="cpu",
        threads=1,
    ))
    adapter._forward = forward or adapter._forward
    adapter.load_weights(initial_weights(model, recipe.init, 1))
    adapter.train(adapter.stage(images, labels))
    adapter.train(adapter.stage(images[:1, :3], labels[:1, :3]))
    found.append((adapter.take_metrics(), adapter.weights()))
(one, before), (other, after) = found
print(json.dumps([
    abs(one.loss_sum - other.loss_sum), [one.correct, other.correct], other.examples,
    max(float(np.abs(before[name] - after[name]).max()) for name in before),
]))
"""


COMPILERS = """
import json, os
os.environ.update(PATH="")
os.environ.pop("CC", None)
import torch
from impls.pytorch.machine import require_compiler

found = []
for device in ("cpu", "cuda"):
    try:
        require_compiler(torch.device(device))
    except ValueError as error:
        found.append(str(error))
print(json.dumps(found))
"""


SLOW = {("pytorch", "compiled")}
"""Modes whose compiler takes a minute for each shape."""
CELLS = {
    one.name: [mode for mode in one.modes if (one.name, mode) not in SLOW] for one in FRAMEWORKS
}


@pytest.mark.parametrize(("framework", "modes"), CELLS.items(), ids=CELLS)
def test_a_framework_is_asked_where_it_computes_and_goes_on_undisturbed(
    answer_in: Callable[..., Any], framework: str, modes: list[str]
) -> None:
    found = answer_in(framework, PROGRAM, framework, *modes)
    assert found == {mode: [["cpu", "cpu", None], True] for mode in modes}


def test_every_parameter_is_asked_not_the_first_alone(answer_in: Callable[..., Any]) -> None:
    assert answer_in("pytorch", TWO_PLACES) == "cpu, meta"


def test_what_is_replayed_on_a_gpu_computes_the_same_without_one(
    answer_in: Callable[..., Any],
) -> None:
    """PyTorch leaves CUDA graphs out where tensors are on the CPU: the code around them stays."""
    loss, hits, examples, weights = answer_in("pytorch", REPLAYED)
    assert examples == 43
    assert hits[0] == hits[1]
    assert loss < 1e-4
    assert weights < 1e-6


def test_a_gpu_needs_another_compiler_than_a_cpu(answer_in: Callable[..., Any]) -> None:
    assert answer_in("pytorch", COMPILERS) == [
        "No C++ compiler for pytorch in mode compiled (found no g++): "
        "install g++, or use --mode eager",
        "No C compiler for pytorch in mode compiled (found no gcc or clang): "
        "install gcc, or use --mode eager",
    ]
