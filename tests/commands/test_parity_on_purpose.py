"""Parity broken on purpose, in the ways in which earlier comparisons were wrong."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import IMPLEMENTATIONS

pytestmark = pytest.mark.frameworks

OURS = ("--impl-dir", str(IMPLEMENTATIONS), "-f", "saboteur", "--dataset", "fashion-mnist-20k")

CAUGHT = {
    # mistake: (recipe, what one of the lines has to name)
    "epsilon": (
        "lenet-adam",
        ["weights conv1.bias after step 1: off by", "times the tolerance of 2.4e-06"],
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
        # The oracle's constants are those that float32 holds: 0.89999998 for 0.9.
        assert result["worst_at_step_1"]["value"] < 1e-7
        assert result["worst_at_steps_2_to_10"]["value"] < 1e-6


def test_the_table_has_a_row_for_each_recipe_and_framework_and_a_column_for_each_mode(levelfield):
    both = ("-r", "lenet-sgd", "-r", "lenet-adam", "--mode", "honest", "--mode", "epsilon")
    done = levelfield("verify", *OURS, "-f", "plain_numpy", "--mode", "eager", *both)
    assert done.returncode == 3, done.stderr
    lines = [re.sub(" +", " ", line).rstrip() for line in done.stdout.splitlines()]
    number = r"\d\.\de[-+]\d\d"
    expected = [
        r"Deviation from the float64 reference at step 1, and after it \(fashion-mnist-20k\)",
        r"recipe framework honest epsilon eager",
        rf"lenet-sgd saboteur \S+ {number} {number} {number} {number}",
        rf" plain_numpy \S+ {number} {number}",
        rf"lenet-adam saboteur \S+ {number} {number} {number} {number} FAILED",
        rf" plain_numpy \S+ {number} {number}",
    ]
    for line, pattern in zip(lines, expected, strict=False):
        assert re.fullmatch(pattern, line), done.stdout
    assert any(line.startswith("Proved: 5 of 6 cells.") for line in lines)
