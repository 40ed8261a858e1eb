"""Parity broken on purpose, in the ways in which earlier comparisons were wrong."""

from __future__ import annotations

import json

import pytest

from .conftest import IMPLEMENTATIONS

pytestmark = pytest.mark.frameworks

OURS = ("--impl-dir", str(IMPLEMENTATIONS), "-f", "saboteur", "--dataset", "fashion-mnist-20k")

CAUGHT = {
    # mistake: (recipe, what one of the lines has to name)
    "epsilon": (
        "lenet-adam",
        ["weights conv1.weight after step 1: off by", "times the tolerance of 2e-06"],
    ),
    "flatten": ("lenet-sgd", ["logits of the initial model (step 0): off by", "hash of weights"]),
    "summed": ("lenet-sgd", ["weights conv1.weight after step 1: off by", "loss at step 2: off"]),
    "perturbed": ("lenet-sgd", ["hash of weights", "weights conv2.weight after step 1: off by"]),
    "shifted": ("lenet-sgd", ["loss at step 2: off by", "loss at step 3: off by"]),
}


@pytest.mark.parametrize("mistake", CAUGHT)
def test_each_mistake_is_caught_and_named(levelfield, mistake):
    recipe, expected = CAUGHT[mistake]
    done = levelfield("verify", *OURS, "-r", recipe, "--mode", mistake, "--json")
    assert done.returncode == 3, done.stderr
    [result] = json.loads(done.stdout)["parity"]
    assert result["cell"].split("/")[2] == mistake
    assert not result["passed"]
    for part in expected:
        assert any(part in line for line in result["failures"]), result["failures"]
    for line in result["failures"]:
        assert f"parity failed: {result['cell']}: {line}" in done.stderr.replace("Warning: ", "")


def test_without_a_mistake_parity_is_proved_exactly(levelfield):
    done = levelfield("verify", *OURS, "--mode", "honest", "--json")
    assert done.returncode == 0, done.stderr
    for result in json.loads(done.stdout)["parity"]:
        assert result["passed"]
        assert result["worst_at_step_1"]["value"] == 0
        assert result["worst_at_steps_2_to_10"]["value"] == 0
