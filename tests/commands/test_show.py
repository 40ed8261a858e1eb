"""A model's layers, asked of real workers."""

from __future__ import annotations

import json
import shutil

import pytest

from .conftest import IMPLEMENTATIONS

pytestmark = pytest.mark.frameworks


def test_every_framework_is_asked_and_shown_beside_the_others(levelfield):
    done = levelfield(
        "show", "lenet", "--impl-dir", str(IMPLEMENTATIONS), "-f", "plain_numpy", "-f", "quick"
    )
    assert done.returncode == 0, done.stderr
    title, header, *rows, total, definition = done.stdout.splitlines()
    assert title.startswith("lenet, images of 1×28×28: Plain NumPy ")
    assert header.split() == [
        "layer", "Plain", "NumPy", "output", "parameters", "Quick", "output", "parameters",
    ]  # fmt: skip
    conv = ["6×24×24", "156"]
    assert rows[0].split() == ["conv1", "Conv", *conv, "Conv", *conv]
    assert rows[1].split() == ["sigmoid", *["Sigmoid", "6×24×24"] * 2]
    assert len(rows) == 12
    assert total.split() == ["total", "44,426", "44,426"]
    assert "44,426 parameters; per image 0.56 MFLOP forward, 1.52 MFLOP in training" in definition


def test_nested_names_and_large_images_are_shown_without_training(levelfield):
    done = levelfield(
        "show", "resnet18", "--impl-dir", str(IMPLEMENTATIONS), "-f", "quick", "--json"
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    [shown] = answer["frameworks"]
    assert sum(one["parameters"] for one in shown["layers"]) == answer["model"]["parameters"]
    assert shown["differences"] == []
    [shortcut] = [one for one in shown["layers"] if one["name"] == "stage2.block1.shortcut"]
    assert shortcut["output_shape"] == [128, 12, 12]
    assert shortcut["parameters"] == 128 * (64 + 1)


def test_a_framework_that_fails_is_named_with_its_reason(levelfield):
    done = levelfield(
        "show", "alexnet", "--impl-dir", str(IMPLEMENTATIONS), "-f", "plain_numpy", "-f", "quick"
    )
    assert done.returncode == 2
    reason = "build: ValueError: No plain_numpy model 'alexnet': expected one of lenet"
    assert f"Plain NumPy is not shown: {reason}" in done.stderr
    assert "96×54×54" in done.stdout, "the other one is shown"


def test_a_framework_whose_parameters_differ_is_pointed_out(levelfield, tmp_path):
    # Of the name and with the requirements of another one: the environment is there already.
    folder = tmp_path / "mine" / "quick"
    shutil.copytree(IMPLEMENTATIONS / "quick", folder)
    (folder / "adapter.py").write_text(
        "from impls.reference.adapter import ReferenceAdapter\n"
        "class Adapter(ReferenceAdapter):\n"
        "    def layers(self):\n"
        "        first, *others = super().layers()\n"
        "        return [first._replace(parameters=150), *others]\n"
        "create = Adapter\n"
    )
    done = levelfield("show", "lenet", "--impl-dir", "mine", "-f", "quick", "--json")
    assert done.returncode == 0, done.stderr
    [shown] = json.loads(done.stdout)["frameworks"]
    assert shown["differences"] == [
        "44,420 parameters, expected 44,426",
        "layer 1 of those with parameters is conv1 with 150, expected conv1 with 156",
    ]
    assert "Quick: 44,420 parameters, expected 44,426" in done.stderr
