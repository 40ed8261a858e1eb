"""The reference's batch normalization against values worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from impls.adapter import VarianceFormula
from impls.definition import BatchNorm
from impls.reference.layers import forward
from impls.reference.passes import Context, Forward

Array = NDArray[Any]


def normalized(
    inputs: Array,
    *,
    layer: BatchNorm | None = None,
    weight: tuple[float, ...] = (1.0,),
    bias: tuple[float, ...] = (0.0,),
    mean: tuple[float, ...] = (0.0,),
    variance: tuple[float, ...] = (1.0,),
    training: bool = True,
    formula: VarianceFormula = "biased",
) -> Forward:
    weights = {
        "bn.weight": np.array(weight),
        "bn.bias": np.array(bias),
        "bn.running_mean": np.array(mean),
        "bn.running_var": np.array(variance),
    }
    context = Context(weights, training, variance_formula=formula)
    return forward(layer or BatchNorm(name="bn"), inputs, context)


def test_training_normalizes_by_the_batch() -> None:
    """Mean 4, squares of the distances 9, 1, 1, 9: variance 5."""
    layer = BatchNorm(name="bn", epsilon=4.0)
    outputs = normalized(
        np.array([[1.0], [3.0], [5.0], [7.0]]), layer=layer, weight=(6.0,), bias=(1.0,)
    ).outputs
    assert_allclose(outputs.ravel(), [-5, -1, 3, 7], rtol=1e-15)  # times 6 ÷ √(5 + 4), plus 1


def test_inference_normalizes_by_the_running_statistics() -> None:
    result = normalized(
        np.array([[1.0], [3.0]]),
        layer=BatchNorm(name="bn", epsilon=1.0),
        weight=(2.0,),
        bias=(-1.0,),
        mean=(5.0,),
        variance=(3.0,),
        training=False,
    )
    assert_allclose(result.outputs.ravel(), [-5, -3], rtol=1e-15)
    assert result.statistics == {}
    gradient, _ = result.backward(np.ones((2, 1)))
    assert_allclose(gradient, [[1], [1]], rtol=1e-15)


@pytest.mark.parametrize(("formula", "variance"), [("biased", 5), ("unbiased", 20 / 3)])
@pytest.mark.parametrize("momentum", [0.1, 0.25, 1.0])
def test_running_statistics_take_their_share_of_the_batch(
    formula: VarianceFormula, variance: float, momentum: float
) -> None:
    statistics = normalized(
        np.array([[1.0], [3.0], [5.0], [7.0]]),
        layer=BatchNorm(name="bn", momentum=momentum),
        mean=(-2.0,),
        variance=(9.0,),
        formula=formula,
    ).statistics
    assert list(statistics) == ["bn.running_mean", "bn.running_var"]
    kept = 1 - momentum
    assert_allclose(statistics["bn.running_mean"], [kept * -2 + momentum * 4], rtol=1e-15)
    assert_allclose(statistics["bn.running_var"], [kept * 9 + momentum * variance], rtol=1e-15)


def test_the_formula_of_the_variance_changes_nothing_but_the_running_one() -> None:
    inputs = np.random.RandomState(0).standard_normal((4, 1, 3, 3))
    biased, unbiased = (normalized(inputs, formula=one) for one in ("biased", "unbiased"))
    assert_array_equal(biased.outputs, unbiased.outputs)
    assert_array_equal(biased.backward(inputs)[0], unbiased.backward(inputs)[0])
    ratio = (unbiased.statistics["bn.running_var"] - 0.9) / (
        biased.statistics["bn.running_var"] - 0.9
    )
    assert_allclose(ratio, 36 / 35, rtol=1e-12)


def test_channels_of_images_are_taken_over_all_places_and_apart() -> None:
    """Channel 0 holds 0, 2, 4, 6 (mean 3, variance 5), channel 1 nothing but 7."""
    inputs = np.array([[[[0.0, 2.0]], [[7.0, 7.0]]], [[[4.0, 6.0]], [[7.0, 7.0]]]])
    result = normalized(
        inputs,
        layer=BatchNorm(name="bn", epsilon=4.0, momentum=1.0),
        weight=(3.0, 5.0),
        bias=(0.0, 2.0),
        mean=(0.0, 0.0),
        variance=(1.0, 1.0),
    )
    assert_allclose(result.outputs, [[[[-3, -1]], [[2, 2]]], [[[1, 3]], [[2, 2]]]], rtol=1e-15)
    assert_allclose(result.statistics["bn.running_mean"], [3, 7], rtol=1e-15)
    assert_allclose(result.statistics["bn.running_var"], [5, 0], rtol=1e-15)


@given(st.integers(2, 6), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_outputs_have_the_mean_of_the_bias_and_the_spread_of_the_weight(
    count: int, depth: int, extent: int, seed: int
) -> None:
    random = np.random.RandomState(seed)
    inputs = random.standard_normal((count, depth, extent, extent)) * 3 + 5
    weight, bias = random.uniform(0.5, 2, depth), random.standard_normal(depth)
    result = normalized(
        inputs,
        layer=BatchNorm(name="bn", epsilon=1e-12),
        weight=tuple(weight),
        bias=tuple(bias),
        mean=(0.0,) * depth,
        variance=(1.0,) * depth,
    )
    assert_allclose(result.outputs.mean(axis=(0, 2, 3)), bias, rtol=0, atol=1e-9)
    assert_allclose(result.outputs.std(axis=(0, 2, 3)), weight, rtol=1e-6)
    # What all values of a channel share is taken off again: so it has no gradient.
    gradient, _ = result.backward(random.standard_normal(inputs.shape))
    assert_allclose(gradient.sum(axis=(0, 2, 3)), np.zeros(depth), rtol=0, atol=1e-9)


def test_one_value_a_channel_has_no_unbiased_variance() -> None:
    outputs = normalized(np.array([[3.0]])).outputs
    assert not outputs.any()
    with pytest.raises(ZeroDivisionError):
        normalized(np.array([[3.0]]), formula="unbiased")


def test_a_constant_channel_stays_finite() -> None:
    result = normalized(np.full((2, 1, 2, 2), 7.0))
    assert not result.outputs.any()
    gradient, _ = result.backward(np.ones((2, 1, 2, 2)))
    assert np.abs(gradient).max() <= 1e-12 / math.sqrt(1e-5)
