"""Mistakes that are made in the oracle on purpose, and what the proof sees of them."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from harness.analysis.deviations import Exactness
from harness.commands.catalogue import read_catalogue
from harness.commands.mistakes import Mistake, mistakes_of
from harness.commands.sensitivity import Start, attempt, expectation, show_sensitivity, stages
from harness.console import Console
from harness.datasets.arrays import Arrays, digest_of_weights
from harness.datasets.order import batch_order
from harness.datasets.weights import initial_weights
from harness.execution.proof import ProofPlan
from impls.adapter import Adam, Optimizer, Setup, Sgd
from impls.definition import BatchNorm, Conv, Dense, Flatten, MaxPool, Model, Sigmoid
from impls.reference.adapter import ReferenceAdapter

SMALL = Model(
    name="small",
    input_shape=(1, 12, 12),
    layers=(
        Conv("conv1", 3, 5),
        Sigmoid(),
        MaxPool(2, 2),
        Flatten(),
        Dense("dense1", 12),
        Sigmoid(),
        Dense("dense2", 10),
    ),
)
NORMALIZED = msgspec.structs.replace(
    SMALL, layers=(SMALL.layers[0], BatchNorm("norm1"), *SMALL.layers[1:])
)
SGD = Sgd(learning_rate=0.5)
ADAM = Adam(learning_rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8)
PLAN = ProofPlan(10, 4)
EXACTNESS = Exactness(1e-9, 1e-6)
UNSEEN = {
    # What changes nothing, or less than rounding does.
    ("sgd+norm", "conv1.bias left untrained"),
    ("adam+norm", "conv1.bias left untrained"),
    # Adam divides a gradient by its own size.
    ("adam", "gradient × (1 + x)"),
}


def setup_of(model: Model, optimizer: Optimizer) -> Setup:
    return Setup(
        model=model, optimizer=optimizer, batch_size=8, mode="eager", device="cpu", threads=1
    )


SETUPS = {
    "sgd": setup_of(SMALL, SGD),
    "adam": setup_of(SMALL, ADAM),
    "sgd+norm": setup_of(NORMALIZED, SGD),
    "adam+norm": setup_of(NORMALIZED, ADAM),
}
MISTAKES = [(name, mistake) for name, setup in SETUPS.items() for mistake in mistakes_of(setup)]


@pytest.fixture(scope="module")
def data() -> Arrays:
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (160, 12, 12), np.uint8)
    labels = generator.integers(0, 10, 160, np.uint8)
    return Arrays(images, labels, images[:8], labels[:8])


def start_of(setup: Setup, data: Arrays) -> Start:
    weights = initial_weights(setup.model, "fan-in-uniform", 3)
    return Start(weights, data, batch_order(3, 1, len(data.train_labels)), 8, PLAN)


@pytest.mark.parametrize("name", SETUPS)
@pytest.mark.parametrize("mode", ["eager", "float32", "shaken-2"])
def test_what_only_rounds_is_never_caught(name: str, mode: str, data: Arrays) -> None:
    setup = SETUPS[name]
    start = start_of(setup, data)
    expected = expectation(setup, start, EXACTNESS)
    honest = ReferenceAdapter(msgspec.structs.replace(setup, mode=mode))
    seen = list(stages(honest, start))
    assert len(seen) == PLAN.steps
    assert seen[-1].window is not None and seen[-1].window.examples == 4 * 8
    assert [expected.first_failure(one, float32_alone=True) for one in seen] == [None] * 10


@pytest.mark.parametrize(
    ("name", "mistake"), MISTAKES, ids=[f"{name}: {one.name}" for name, one in MISTAKES]
)
def test_each_kind_is_caught_in_its_worst_size(name: str, mistake: Mistake, data: Arrays) -> None:
    setup = SETUPS[name]
    start = start_of(setup, data)
    found = attempt(mistake, setup, start, expectation(setup, start, EXACTNESS))
    assert bool(found.caught) is ((name, mistake.name) not in UNSEEN)


def test_hashes_of_weights_do_not_tell_of_the_order_in_which_they_are_flattened(
    data: Arrays,
) -> None:
    setup = SETUPS["sgd"]
    [mistake] = [one for one in mistakes_of(setup) if "H, W, C" in one.name]
    adapter, start = mistake.adapter(setup, 1.0), start_of(setup, data)
    adapter.load_weights(start.weights)
    assert digest_of_weights(adapter.weights()) == digest_of_weights(start.weights)


def test_sizes_go_from_the_worst_to_the_least() -> None:
    for _, mistake in MISTAKES:
        falling = sorted(mistake.sizes, reverse=True)
        assert list(mistake.sizes) in (falling, falling[::-1]), mistake.name


def test_the_command_says_what_is_granted_and_what_is_caught(capsys) -> None:
    catalogue = read_catalogue()
    small = catalogue.recipes["lenet-adam-b64"].overridden(batch_size=8)
    catalogue = catalogue._replace(recipes={"small": small})
    show_sensitivity(
        Console(json=True),
        catalogue,
        ["small"],
        range(5, 7),
        None,
        dataset="fashion-mnist-20k",
        plan=ProofPlan(2, 4),
    )
    [result] = json.loads(capsys.readouterr().out)["recipes"]
    assert result["recipe"].startswith("lenet-adam-b64+batch_size=8+dataset=fashion-mnist-20k")
    assert (result["seeds"], result["steps"], result["window_steps"]) == ([5, 6], 2, 4)
    assert all(0 < one["least"] <= one["most"] <= 1 for one in result["granted"])
    found = {one["mistake"]: one for one in result["mistakes"]}
    assert found["learning rate × (1 + x)"]["least"] <= 1e-2
    assert found["flattened in the order H, W, C"]["sizes"] == [{"size": 1.0, "caught": 2}]
    # Of ten steps these are the first six.
    assert found["one step of ten skipped"]["least"] is None
