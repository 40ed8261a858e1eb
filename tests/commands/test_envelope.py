"""What the oracle's own roundings amount to, and that recipes say so."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import paths
from harness.commands.envelope import Envelope, entry, envelope_of, granted
from harness.spec.events import Deviation
from harness.spec.recipes import Tolerances, read_recipes

RECIPES = read_recipes(paths.BENCHMARKS / "recipes.toml")


def deviation(value: float | None, step: int = 1, check: str = "loss") -> Deviation:
    return Deviation(check=check, step=step, tensor="", value=value, tolerance=0.0)


def envelope(first: float | None, later: float | None, forward: float = 1e-9) -> Envelope:
    return Envelope(
        of_forward_pass=deviation(forward),
        at_step_1=deviation(first, check="weights"),
        at_steps_2_to_10=deviation(later, step=7),
    )


@pytest.mark.parametrize(
    ("measured", "expected"),
    [(2e-7, 2e-6), (2.01e-7, 3e-6), (9.1e-6, 1e-4), (0.0, 0.0), (None, float("inf"))],
)
def test_ten_times_is_rounded_up(measured: float | None, expected: float) -> None:
    assert granted(deviation(measured)) == expected


@given(st.floats(1e-12, 10))
def test_no_cell_is_granted_less_than_ten_times_or_twice_that(measured: float) -> None:
    times = granted(deviation(measured)) / measured
    assert 10 * (1 - 1e-12) <= times <= 20 * (1 + 1e-12)


def test_the_largest_counts_and_what_is_not_finite_is_larger() -> None:
    checks = [
        deviation(1e-7, step=0, check="logits"),
        deviation(3e-7, check="weights"),
        deviation(2e-7),
        deviation(1e-6, step=2),
        deviation(5e-7, step=10),
    ]
    found = envelope_of(checks)
    assert found == Envelope(
        of_forward_pass=checks[2], at_step_1=checks[1], at_steps_2_to_10=checks[3]
    )
    broken = deviation(None, step=0, check="logits")
    assert envelope_of([*checks, broken]).of_forward_pass == broken


def test_no_recipe_is_granted_less_than_the_lenets() -> None:
    assert envelope(1e-9, 1e-9).tolerances == Tolerances()
    assert envelope(3e-6, 1e-9).tolerances == Tolerances(step_1=3e-5)
    assert envelope(1e-9, 1e-9, 4e-7).tolerances == Tolerances(forward=4e-6)
    for recipe in RECIPES.values():
        assert recipe.tolerances.forward >= Tolerances().forward, recipe.name
        assert recipe.tolerances.step_1 >= Tolerances().step_1, recipe.name
        assert recipe.tolerances.steps_2_to_10 >= Tolerances().steps_2_to_10, recipe.name


def test_the_entry_is_what_a_recipe_reads() -> None:
    recipe = RECIPES["lenet-sgd"]
    text = entry(recipe, "fashion-mnist", envelope(3.14e-6, 2.7e-4))
    assert text == (
        "# [lenet-sgd] float32 against float64 on fashion-mnist, seeds 0 to 2: 1.0e-09 (loss at "
        "step 1); 3.1e-06 (weights at step 1); 2.7e-04 (loss at step 7)\n"
        "tolerances = { forward = 2e-06, step_1 = 4e-05, steps_2_to_10 = 3e-03 }"
    )
    read = msgspec.toml.decode(text)["tolerances"]
    assert msgspec.convert(read, Tolerances) == Tolerances(step_1=4e-5, steps_2_to_10=3e-3)


def measured(*recipes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "envelope", *recipes],
        env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.frameworks
def test_rounding_is_measured_for_real() -> None:
    """LeNet's deviations are of the order of float32's last bit, 6e-8, times what sums add up."""
    done = measured("lenet-avg-sgd")
    assert done.returncode == 0, done.stderr
    sizes = [float(size) for size in re.findall(r"(\d\.\de[-+]\d+) \(", done.stdout)]
    assert len(sizes) == 3
    assert all(1e-9 < size < 1e-4 for size in sizes), done.stdout


def test_an_unknown_recipe_is_refused_in_one_line() -> None:
    done = measured("lenet-sdg")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "No recipe 'lenet-sdg'" in done.stderr
    assert "did you mean lenet-sgd?" in done.stderr
