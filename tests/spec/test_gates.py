"""The terms of a gate, from ``pyproject.toml`` to a cell's thresholds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness import paths
from harness.errors import UsageError
from harness.spec.cells import Cell
from harness.spec.gates import GateTerms, Thresholds, read_gate_settings
from harness.spec.recipes import read_recipes

RECIPE = read_recipes(paths.BENCHMARKS / "recipes.toml")["lenet-sgd"]
CELL = Cell(recipe=RECIPE, framework="alpha", version="1.0", mode="eager", threads=2)
OWN = Thresholds(slowdown=0.05)


def settings(folder: Path, text: str):
    (folder / "pyproject.toml").write_text(f"[tool.levelfield.gate]\n{text}\n")
    return read_gate_settings(folder)


def test_without_a_word_the_usual_terms_hold(tmp_path):
    assert read_gate_settings(tmp_path).terms("main", None, ()) == GateTerms(base="main")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    assert read_gate_settings(tmp_path).terms("main", None, ()) == GateTerms(base="main")


def test_a_cells_own_thresholds_stand_on_the_usual_ones(tmp_path):
    found = settings(
        tmp_path, "accuracy = 0.01\n[tool.levelfield.gate.cells.'*/alpha/*']\nslowdown = 0.05"
    )
    terms = found.terms("main", "1" * 40, ("mine",))
    assert terms.of(CELL) == Thresholds(slowdown=0.05, accuracy=0.01)
    other = msgspec.structs.replace(CELL, framework="beta")
    assert terms.of(other) == Thresholds(accuracy=0.01)
    assert (terms.commit, terms.impl_dirs) == ("1" * 40, ("mine",))


@pytest.mark.parametrize("pattern", ["lenet-sgd/alpha/*", "*/eager/resident/cpu-2t", "*"])
def test_a_recipe_with_overrides_is_still_the_recipe(pattern):
    terms = GateTerms(base="main", cells={pattern: OWN, "*/beta/*": OWN, "lenet-*/eager": OWN})
    changed = RECIPE.overridden(dataset="fashion-mnist-20k", epochs=1)
    for cell in (CELL, msgspec.structs.replace(CELL, recipe=changed)):
        assert terms.of(cell) == OWN
        assert terms.idle([cell]) == ["*/beta/*", "lenet-*/eager"]


def test_the_first_pattern_that_fits_counts():
    terms = GateTerms(base="main", cells={"*/alpha/*": OWN, "*": Thresholds(slowdown=0.1)})
    assert terms.of(CELL) == OWN


@pytest.mark.parametrize(
    "text, said",
    [
        ("slowdown = 2", "slowdown is 2, expected a share below 1"),
        ("alpha = 0", "alpha is 0, expected a share below 1"),
        ("[tool.levelfield.gate.cells.'*']\nslowdown = 5", r"\*: slowdown is 5, expected a share"),
        ("[tool.levelfield.gate.cells.'*']\naccuracy = -0.1", r"\*: accuracy is -0.1"),
        ("seeds = -1", "seeds is -1, expected 0"),
        ("slowdwon = 0.1", "unknown field `slowdwon`"),
        ("blocks = 'ten'", "Expected `int"),
        ("= 3", "can't be read"),
    ],
)
def test_settings_that_make_no_sense_are_named(tmp_path, text, said):
    with pytest.raises(UsageError, match=said):
        settings(tmp_path, text)


@pytest.mark.parametrize("content", [b"[tool]\nlevelfield = 3\n", b"tool = 1\n", b"\xff\xfe"])
def test_files_of_another_kind_are_one_line(tmp_path, content):
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"pyproject\.toml"):
        read_gate_settings(tmp_path)
