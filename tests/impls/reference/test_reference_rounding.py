"""The oracle's own rounding: what its modes do to numbers, and to a training step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from impls.adapter import Adam, Setup, Sgd
from impls.definition import Model
from impls.reference.adapter import ARITHMETICS, create
from impls.reference.optimizers import AdamSteps
from impls.reference.passes import SHAKEN_ROUNDINGS, Arithmetic, Context

FLOAT32, FLOAT64 = 2.0**-24, 2.0**-53
VALUES = arrays.arrays(
    np.float64, arrays.array_shapes(max_dims=3), elements=st.floats(-1e30, 1e30, width=64)
)


@given(VALUES, st.integers(1, 2**63))
def test_each_value_is_moved_by_four_roundings_at_most(
    values: NDArray[np.float64], salt: int
) -> None:
    moved = Arithmetic(salt=salt).shaken(values)
    assert moved.shape == values.shape
    limit = SHAKEN_ROUNDINGS * FLOAT32 * np.abs(values) * (1 + 1e-6)
    assert (np.abs(moved - values) <= limit + 1e-300).all()
    assert (moved[values == 0] == 0).all()
    again = Arithmetic(salt=salt).shaken(values)
    np.testing.assert_array_equal(moved, again)


@given(VALUES, st.integers(1, 2**63))
def test_equal_values_stay_equal_wherever_they_are(values: NDArray[np.float64], salt: int) -> None:
    arithmetic = Arithmetic(salt=salt)
    together = np.concatenate([values.ravel()[::-1], [1.5], values.ravel()])
    moved = arithmetic.shaken(together)
    np.testing.assert_array_equal(moved[: values.size][::-1], moved[values.size + 1 :])
    np.testing.assert_array_equal(arithmetic.shaken(values.T), arithmetic.shaken(values).T)


def test_shares_are_spread_evenly_and_each_salt_draws_its_own() -> None:
    values = np.random.RandomState(1).standard_normal(20_000)
    shares = [
        (Arithmetic(salt=salt).shaken(values) / values - 1) / (SHAKEN_ROUNDINGS * FLOAT32)
        for salt in (1, 2)
    ]
    for share in shares:
        # Of U(-1, 1): mean 0 and variance 1/3, with standard errors of .004 and .002.
        assert abs(share.mean()) < 0.02
        assert share.var() == pytest.approx(1 / 3, abs=0.01)
    assert abs(np.corrcoef(shares)[0, 1]) < 0.03


def test_without_salt_and_in_float32_nothing_is_moved() -> None:
    values = np.array([1.0, 2.0])
    assert Arithmetic().shaken(values) is values
    single = values.astype(np.float32)
    assert Arithmetic(salt=1).shaken(single) is single


def test_float64_is_shaken_by_its_own_roundings() -> None:
    values = np.random.RandomState(1).standard_normal(1000)
    moved = ARITHMETICS["shaken-float64"].shaken(values)
    assert (moved != values).any()
    assert (np.abs(moved / values - 1) <= (SHAKEN_ROUNDINGS + 3) * FLOAT64).all()


def test_values_are_added_up_one_after_the_other_or_in_pairs() -> None:
    """To 1, no rounding of 1 can be added one by one; together they are more."""
    values = np.full((1, 1, 4096), 2.0**-24, np.float32)
    values[0, 0, 0] = 1
    for one_by_one, total in ((True, 1.0), (False, 1 + 4095 * 2.0**-24)):
        context = Context({}, arithmetic=Arithmetic(np.dtype("f4"), one_by_one=one_by_one))
        assert context.channel_sums(values)[0] == pytest.approx(total, abs=1e-5)


def stepped(model: Model, mode: str, weights: Any, images: Any, labels: Any) -> list[Any]:
    """Logits, then weights after three steps, all values in one array each."""
    setup = Setup(
        model=model,
        optimizer=Sgd(learning_rate=0.5),
        batch_size=4,
        mode=mode,
        device="cpu",
        threads=1,
    )
    adapter = create(setup)
    adapter.load_weights(weights)
    logits = adapter.logits(images[0])
    adapter.train(adapter.stage(images, labels))
    return [logits, *adapter.weights().values()]


@pytest.mark.parametrize(
    ("mode", "dtype", "least", "most"),
    [
        ("float32", np.float32, 1e-10, 1e-5),
        ("float32-one-by-one", np.float32, 1e-10, 1e-5),
        ("shaken-1", np.float64, 1e-10, 1e-5),
        ("shaken-2", np.float64, 1e-10, 1e-5),
        ("shaken-float64", np.float64, 1e-18, 1e-13),
    ],
)
def test_a_mode_is_off_by_about_its_roundings(
    lenet: Model, xavier: Any, images: Any, labels: Any, mode: str, dtype: Any,
    least: float, most: float,
) -> None:  # fmt: skip
    exact = stepped(lenet, "eager", xavier, images, labels)
    rounded = stepped(lenet, mode, xavier, images, labels)
    assert {array.dtype for array in exact} == {np.dtype(np.float64)}
    assert {array.dtype for array in rounded} == {np.dtype(dtype)}
    for one, other in zip(rounded, exact, strict=True):
        off = np.linalg.norm((one - other).ravel()) / np.linalg.norm(other.ravel())
        assert least < off < most


def test_modes_round_each_in_its_own_way(
    lenet: Model, xavier: Any, images: Any, labels: Any
) -> None:
    # A bias that begins at 0 keeps every digit of its gradient.
    weights = {name: array * (not name.endswith(".bias")) for name, array in xavier.items()}
    trained = [
        np.concatenate([each.ravel() for each in stepped(lenet, mode, weights, images, labels)])
        for mode in ARITHMETICS
    ]
    assert all((one != other).any() for n, one in enumerate(trained) for other in trained[:n])


@pytest.mark.parametrize(
    ("dtype", "step", "tolerance"),
    # √((1 − .999 in float32) ÷ (1 − .999)) is 1 − 6.4e-6; the mean's share is off by 2.4e-7.
    [(np.float32, 1 + 6.7e-6, 5e-7), (np.float64, 1.0, 1e-12)],
)
def test_adams_constants_have_the_weights_precision(
    dtype: Any, step: float, tolerance: float
) -> None:
    recipe = Adam(learning_rate=1.0, beta1=0.9, beta2=0.999, epsilon=0.0)
    weights = {"w": np.zeros(1, dtype)}
    AdamSteps(recipe, "epsilon").step(weights, {"w": np.ones(1, dtype)})
    assert weights["w"].dtype == dtype
    assert -float(weights["w"][0]) == pytest.approx(step, abs=tolerance)
