from __future__ import annotations

import numpy as np
import pytest

from harness import paths
from harness.spec.recipes import held_by_float32, oracle_optimizer, read_recipes
from impls.adapter import Adam, Sgd


@pytest.mark.parametrize(
    "optimizer",
    [
        Sgd(learning_rate=0.9, momentum=0.9),
        Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8),
    ],
)
def test_constants_that_float32_holds_are_as_near_as_it_can_be(optimizer):
    held = held_by_float32(optimizer)
    assert type(held) is type(optimizer)
    for name in optimizer.__struct_fields__:
        constant, near = getattr(optimizer, name), getattr(held, name)
        assert near == np.float32(near) == np.float32(constant)
        assert near == pytest.approx(constant, rel=6e-8)
    assert held != optimizer
    assert held_by_float32(held) == held


def test_the_oracle_keeps_adams_constants_and_rounds_a_rate_of_sgd():
    adam = Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8)
    assert oracle_optimizer(adam) == adam
    assert oracle_optimizer(Sgd(learning_rate=0.9)) == held_by_float32(Sgd(learning_rate=0.9))


def test_another_batch_is_another_recipe_with_nothing_published_and_the_same_rate():
    recipe = read_recipes(paths.BENCHMARKS / "recipes.toml")["lenet-sgd"]
    assert recipe.published is not None
    other = recipe.overridden(batch_size=32)
    assert (other.label, other.batch_size) == ("lenet-sgd+batch_size=32", 32)
    assert other.published is None
    assert other.optimizer == recipe.optimizer
    assert recipe.overridden(batch_size=recipe.batch_size) == recipe
