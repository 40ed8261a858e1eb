"""The parts of a step that the micro-benchmarks time are parts of what trains, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import paths
from harness.spec.implementations import read_implementations
from harness.spec.recipes import read_models
from impls.pieces import layer_steps

pytestmark = [pytest.mark.frameworks]

PROGRAM = """
import json, sys
import importlib
from pathlib import Path
import numpy as np
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from impls.adapter import Adam, Setup, Sgd
from impls.pieces import layer_steps, measured_layers
from impls.reference.layers import forward as reference_forward
from impls.reference.passes import Context

framework, mode, optimizer = sys.argv[1:]
MODEL = read_models(Path("benchmarks/models.toml"))["lenet"]
OPTIMIZERS = {
    "sgd": Sgd(learning_rate=0.9),
    "adam": Adam(learning_rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8),
}
SIZE = 4
adapter = importlib.import_module(f"impls.{framework}.adapter").create(Setup(
    model=MODEL, optimizer=OPTIMIZERS[optimizer], batch_size=SIZE, mode=mode, device="cpu",
    threads=1, seed=5,
))
pieces = importlib.import_module(f"impls.{framework}.pieces").create(adapter)
# A distribution with biases: zeros would hide one that is left out.
WEIGHTS = initial_weights(MODEL, "fan-in-uniform", 1)
generator = np.random.RandomState(2)
images = generator.rand(1, SIZE, 1, 28, 28).astype(np.float32)
labels = generator.randint(10, size=(1, SIZE)).astype(np.int64)
batch = adapter.stage(images, labels)

def distance(one, other):
    return max(float(np.abs(one[name] - other[name]).max()) for name in other)

def off(one, other):
    return float(np.abs(np.asarray(one, float) - other).max())

def off_unordered(one, other):
    return off(np.sort(one), np.sort(other))

def fresh():
    adapter.load_weights(WEIGHTS)
    return adapter

found = {"layers": {}}
logits = fresh().logits(images[0])
found["forward"] = off(pieces.on_host(pieces.forward(batch)), logits)

pieces.forward_backward(batch)
pieces.forward_backward(batch)
found["weights_after_gradients"] = distance(adapter.weights(), WEIGHTS)
found["examples_counted"] = adapter.take_metrics().examples
pieces.optimizer_step()
adapter.synchronize()
stepped = adapter.weights()
fresh().train(batch)
trained = adapter.weights()
found["step"] = distance(stepped, trained)
found["step_length"] = distance(stepped, WEIGHTS)
fresh()
pieces.forward_backward(batch)
pieces.optimizer_step()
pieces.optimizer_step()
found["two_steps"] = distance(adapter.weights(), stepped)

fresh()
values = images[0]
oracle = values.astype(float)
weights = {name: array.astype(float) for name, array in WEIGHTS.items()}
context = Context(weights, training=True)
for number, (name, step) in enumerate(layer_steps(MODEL).items()):
    outputs = pieces.on_host(pieces.layer(name, values, backward=False)())
    result = {"shape": list(outputs.shape[1:]), "expected": list(step.output_shape)}
    expected = reference_forward(step.layer, oracle, context)
    # Flattened values stand in the framework's own order, which the next layer knows.
    differ = off_unordered if name == "dense1" else off
    if name in measured_layers(MODEL):
        gradients = pieces.layer(name, values, backward=True)()
        adapter.synchronize()
        by_inputs, by_parameters = expected.backward(np.ones_like(expected.outputs))
        result["gradients"] = [len(gradients), len(by_parameters) + (number > 0)]
        if number:
            result["by_inputs"] = differ(pieces.on_host(gradients[0]), by_inputs)
        if by_parameters:
            bias = pieces.on_host(gradients[-1])
            result["by_bias"] = off(bias, by_parameters[f"{name}.bias"]) / float(bias.max())
    result["outputs"] = (off_unordered if name == "flatten1" else off)(outputs, expected.outputs)
    values, oracle = outputs, expected.outputs
    found["layers"][name] = result
found["composition"] = off(values, logits)
found["weights_after_layers"] = distance(adapter.weights(), WEIGHTS)

one, other = generator.standard_normal((2, 96, 96)).astype(np.float32)
found["matmul"] = off(pieces.on_host(pieces.matmul(one, other)()), one.astype(float) @ other)
copied = pieces.copy(one.ravel())
found["copy"] = off(pieces.on_host(copied()), one.ravel())
print(json.dumps(found))
"""

IMPLEMENTATIONS = {
    name: implementation
    for name, implementation in read_implementations(paths.IMPLS).items()
    if (paths.IMPLS / name / "pieces.py").is_file()
}
MODEL = read_models(paths.BENCHMARKS / "models.toml")["lenet"]
WITHOUT = {"fit", "nnx"}
"""Modes that take their step as a whole."""


def cases() -> list[Any]:
    """Every framework with pieces in every mode that has some; Adam in the default mode alone."""
    return [
        pytest.param(name, mode, optimizer, marks=pytest.mark.slow if mode != "eager" else ())
        for name, implementation in IMPLEMENTATIONS.items()
        for mode in implementation.modes
        if mode not in WITHOUT
        for optimizer in ("sgd", "adam")
        if optimizer == "sgd" or mode == implementation.default_mode
    ]


def test_every_framework_has_pieces():
    frameworks = read_implementations(paths.IMPLS).values()
    assert set(IMPLEMENTATIONS) == {one.name for one in frameworks if one.role == "framework"}


@pytest.mark.parametrize("framework, mode, optimizer", cases())
def test_pieces_are_parts_of_what_trains(answer_in: Callable[..., Any], framework, mode, optimizer):
    found = answer_in(framework, PROGRAM, framework, mode, optimizer)
    assert found["forward"] < 1e-6
    assert found["weights_after_gradients"] == 0.0
    assert found["weights_after_layers"] == 0.0
    assert found["examples_counted"] == 0, "pieces keep no metrics"
    assert found["step"] < 1e-6 < 1e-3 < found["step_length"]
    assert found["two_steps"] > found["step_length"] / 4, "the gradients serve again"
    assert list(found["layers"]) == list(layer_steps(MODEL))
    for name, layer in found["layers"].items():
        assert layer["shape"] == layer["expected"], name
        assert layer["outputs"] < 1e-5, name
        assert layer.get("by_inputs", 0.0) < 1e-5, name
        assert layer.get("by_bias", 0.0) < 1e-5, name
        count, expected = layer.get("gradients", (0, 0))
        assert count == expected, name
    assert found["composition"] < 1e-6
    assert found["matmul"] < 1e-4
    assert found["copy"] == 0.0


@pytest.mark.parametrize(
    "name", [name for name, one in IMPLEMENTATIONS.items() if "fit" in one.modes]
)
def test_model_fit_has_no_pieces(answer_in: Callable[..., Any], name: str):
    program = PROGRAM.replace("pieces = ", "try:\n    pieces = ").split("# A distribution")[0]
    program += "except ValueError as error:\n    print(json.dumps(str(error)))\n"
    found = answer_in(name, program, name, "fit", "sgd")
    assert found == f"{name} has no pieces in mode fit: Model.fit takes its step as a whole"
