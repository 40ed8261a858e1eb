"""The reference's optimizers against steps worked out by hand, in every formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from impls.adapter import Adam, AdamFormula, MomentumFormula, Setup, Sgd
from impls.definition import Model
from impls.reference.optimizers import AdamSteps, Optimizer, SgdSteps, new_optimizer

Array = NDArray[Any]


def walk(optimizer: Optimizer, gradients: list[float], start: float = 0.0) -> list[float]:
    """One weight after each of the steps."""
    weights = {"w": np.array([start])}
    path = []
    for gradient in gradients:
        optimizer.step(weights, {"w": np.array([gradient])})
        path.append(float(weights["w"][0]))
    return path


def random_walk(optimizer: Optimizer) -> Array:
    """Twenty weights after 50 steps of random gradients."""
    random = np.random.RandomState(7)
    weights = {"w": random.standard_normal(20)}
    for _ in range(50):
        optimizer.step(weights, {"w": random.standard_normal(20)})
    return weights["w"]


def test_sgd_without_momentum() -> None:
    steps = walk(SgdSteps(Sgd(learning_rate=0.5), "rate-outside"), [2.0, -1.0], start=3.0)
    assert steps == [2.0, 2.5]


@pytest.mark.parametrize("formula", ["rate-outside", "rate-inside"])
def test_sgd_with_momentum(formula: MomentumFormula) -> None:
    """Buffer 1, then 0.5·1 + 2 = 2.5, then 0.5·2.5 + 0 = 1.25; a quarter of each is taken off."""
    recipe = Sgd(learning_rate=0.25, momentum=0.5)
    assert walk(SgdSteps(recipe, formula), [1.0, 2.0, 0.0]) == [-0.25, -0.875, -1.1875]


def test_both_momentum_formulas_agree_up_to_rounding() -> None:
    recipe = Sgd(learning_rate=0.3, momentum=0.9)
    outside = random_walk(SgdSteps(recipe, "rate-outside"))
    inside = random_walk(SgdSteps(recipe, "rate-inside"))
    assert_allclose(outside, inside, rtol=0, atol=1e-13)
    assert (outside != inside).any()


@pytest.mark.parametrize(
    ("formula", "first", "second"),
    [
        # g = 2 twice: m̂ = 2 and v̂ = 4 at both steps.
        ("epsilon", 0.1 * 2 / (2 + 1), 0.1 * 2 / (2 + 1)),
        # m = 1, v = 1, then m = 1.5, v = 1.75; 1 − β₁² = 0.75, 1 − β₂² = 0.4375.
        (
            "epsilon-hat",
            0.1 * 0.5 / 0.5 * 1 / (1 + 1),
            0.1 * math.sqrt(0.4375) / 0.75 * 1.5 / (math.sqrt(1.75) + 1),
        ),
    ],
)
def test_adam(formula: AdamFormula, first: float, second: float) -> None:
    recipe = Adam(learning_rate=0.1, beta1=0.5, beta2=0.75, epsilon=1.0)
    path = walk(AdamSteps(recipe, formula), [2.0, 2.0])
    assert path == pytest.approx([-first, -first - second], rel=1e-15)


def test_both_adam_formulas_agree_without_epsilon() -> None:
    recipe = Adam(learning_rate=0.1, beta1=0.9, beta2=0.999, epsilon=0.0)
    assert_allclose(
        random_walk(AdamSteps(recipe, "epsilon")),
        random_walk(AdamSteps(recipe, "epsilon-hat")),
        rtol=0,
        atol=1e-13,
    )


@pytest.mark.parametrize(("step", "ratio"), [(1, 31.6), (10, 10.0), (10_000, 1.0)])
def test_epsilon_weighs_more_in_the_reordered_formula(step: int, ratio: float) -> None:
    """With a constant gradient g, a step is lr · g ÷ (g + effective ε), whatever its number."""
    recipe = Adam(learning_rate=1.0, beta1=0.9, beta2=0.999, epsilon=1e-8)
    gradient = 1e-8

    def effective_epsilon(formula: AdamFormula) -> float:
        path = [0.0, *walk(AdamSteps(recipe, formula), [gradient] * step)]
        return gradient / (path[-2] - path[-1]) - gradient

    plain, reordered = effective_epsilon("epsilon"), effective_epsilon("epsilon-hat")
    assert plain == pytest.approx(1e-8, rel=1e-8)
    assert reordered / plain == pytest.approx(ratio, rel=3e-3)


def test_setup_chooses_the_formula(lenet: Model) -> None:
    recipes: list[Sgd | Adam] = [
        Sgd(learning_rate=0.25, momentum=0.5),
        Adam(learning_rate=0.1, beta1=0.5, beta2=0.75, epsilon=1.0),
    ]
    for recipe in recipes:
        setup = Setup(
            model=lenet,
            optimizer=recipe,
            batch_size=4,
            mode="eager",
            device="cpu",
            threads=1,
            adam_formula="epsilon-hat",
            momentum_formula="rate-inside",
        )
        expected: Optimizer
        if isinstance(recipe, Adam):
            expected = AdamSteps(recipe, "epsilon-hat")
        else:
            expected = SgdSteps(recipe, "rate-inside")
        assert (random_walk(new_optimizer(setup)) == random_walk(expected)).all()
