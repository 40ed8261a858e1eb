"""What every implementation must pass: the proof that precedes every number."""

from __future__ import annotations

import pytest

from harness import paths
from harness.spec.implementations import read_implementations
from harness.spec.recipes import read_recipes

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

RECIPES = read_recipes(paths.BENCHMARKS / "recipes.toml")
CELLS = [
    (recipe, one.name, mode)
    for recipe in RECIPES
    for one in read_implementations(paths.IMPLS).values()
    if one.role == "framework"
    for mode in one.modes
]


@pytest.mark.parametrize(("recipe", "framework", "mode"), CELLS, ids="/".join)
def test_parity_is_proved(verification, recipe, framework, mode):
    found = [
        result
        for result in verification["parity"]
        if result["cell"].startswith(f"{recipe}/{framework}-")
        and result["cell"].split("/")[2] == mode
    ]
    assert len(found) == 1, verification["failures"]
    assert found[0]["passed"], found[0]["failures"]


def test_nothing_failed_and_the_exit_code_says_so(verification):
    assert verification["failures"] == []
    assert verification["exit_code"] == 0


def test_every_pair_of_frameworks_is_compared(verification):
    cells = {result["cell"] for result in verification["parity"]}
    per_recipe = len(cells) // len(RECIPES)
    pairs = len(RECIPES) * per_recipe * (per_recipe - 1) // 2
    assert len(verification["between_frameworks"]) == pairs
