from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import paths
from harness.datasets.arrays import digest_of_weights
from harness.datasets.weights import initial_weights
from harness.spec.recipes import Init, read_models
from impls.definition import Conv, Dense, Flatten, Model, Sigmoid

MODELS = read_models(paths.BENCHMARKS / "models.toml")
LENET = MODELS["lenet"]
INITS: tuple[Init, ...] = ("xavier", "fan-in-uniform")
FANS = {"conv1": (25, 150), "conv2": (150, 400), "dense1": (256, 120), "dense2": (120, 84)}


@pytest.mark.parametrize(
    ("init", "first", "digest"),
    [
        (
            "xavier",
            [-0.1569049209356308, 0.10366177558898926, -0.02280878834426403],
            "1f83f416d7cfa2bf80d0b588933ce98a71cf650e0e058727af12e4284ea90f00",
        ),
        (
            "fan-in-uniform",
            [-0.1694766879081726, 0.11196751892566681, -0.02463630773127079],
            "a1c986db7b9edff39a694e0bdc22fd6c3279f8831bb9147f6b72ecedb1202f2d",
        ),
    ],
)
def test_the_stream_is_frozen(init: Init, first: list[float], digest: str) -> None:
    weights = initial_weights(LENET, init, 7)
    np.testing.assert_array_equal(
        weights["conv1.weight"].ravel()[:3], np.asarray(first, np.float32)
    )
    assert digest_of_weights(weights) == digest


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("init", INITS)
def test_names_order_and_shapes_are_canonical(init: Init, name: str) -> None:
    weights = initial_weights(MODELS[name], init, 0)
    shapes = [(each, array.shape) for each, array in weights.items()]
    assert shapes == list(MODELS[name].weight_shapes().items())
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("init", INITS)
def test_batch_norm_starts_as_the_identity_and_draws_nothing(init: Init) -> None:
    plain, normalized = (initial_weights(MODELS[name], init, 5) for name in ("lenet", "lenet-bn"))
    for name, array in normalized.items():
        if name.startswith("bn"):
            one = name.endswith((".weight", ".running_var"))
            np.testing.assert_array_equal(array, np.full(array.shape, float(one)), err_msg=name)
        else:
            np.testing.assert_array_equal(array, plain[name], err_msg=name)


def test_the_insides_of_blocks_are_drawn_by_their_own_fans() -> None:
    """In the canonical order: the long way before the shortcut."""
    weights = initial_weights(MODELS["resnet18"], "xavier", 1)
    for layer, fan_in, fan_out in (
        ("stage2.block1.conv1", 64 * 9, 128 * 9),
        ("stage2.block1.shortcut", 64, 128),
        ("stage4.block2.conv2", 512 * 9, 512 * 9),
    ):
        bound = math.sqrt(6 / (fan_in + fan_out))
        assert np.abs(weights[f"{layer}.weight"]).max() == pytest.approx(bound, rel=0.01)
    names = [name for name in weights if name.startswith("stage2.block1.") and ".bn" not in name]
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    assert layers == [f"stage2.block1.{layer}" for layer in ("conv1", "conv2", "shortcut")]


@pytest.mark.parametrize(("layer", "fans"), FANS.items())
def test_lenet_is_drawn_from_the_intervals_of_its_fans(layer: str, fans: tuple[int, int]) -> None:
    xavier = initial_weights(LENET, "xavier", 3)
    default = initial_weights(LENET, "fan-in-uniform", 3)
    assert np.abs(xavier[f"{layer}.weight"]).max() == pytest.approx(
        math.sqrt(6 / sum(fans)), rel=0.05
    )
    assert not xavier[f"{layer}.bias"].any()
    bound = 1 / math.sqrt(fans[0])
    assert np.abs(default[f"{layer}.weight"]).max() == pytest.approx(bound, rel=0.05)
    assert 0 < np.abs(default[f"{layer}.bias"]).max() <= np.float32(bound)


@given(
    st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.integers(1, 9), st.integers(0, 99)
)
def test_no_weight_leaves_its_interval(
    inputs: int, channels: int, kernel: int, units: int, seed: int
) -> None:
    model = Model(
        name="any",
        input_shape=(inputs, 6, 6),
        layers=(
            Conv("c", channels=channels, kernel=kernel),
            Sigmoid(),
            Flatten(),
            Dense("d", units=units),
        ),
    )
    area, flat = kernel**2, channels * (7 - kernel) ** 2
    for layer, fan_in, fan_out in (
        ("c", inputs * area, channels * area),
        ("d", flat, units),
    ):
        weight = initial_weights(model, "xavier", seed)[f"{layer}.weight"]
        assert np.abs(weight).max() <= np.float32(math.sqrt(6 / (fan_in + fan_out)))
        default = initial_weights(model, "fan-in-uniform", seed)
        for role in ("weight", "bias"):
            bound = np.float32(1 / math.sqrt(fan_in))
            assert np.abs(default[f"{layer}.{role}"]).max() <= bound


def test_seeds_differ() -> None:
    digests = {digest_of_weights(initial_weights(LENET, "xavier", seed)) for seed in range(5)}
    assert len(digests) == 5
