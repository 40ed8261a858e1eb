"""JAX's batches by plain NumPy, which need no JAX; what all loaders promise is in the contract."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from harness.datasets.resized import resized_images
from harness.paths import BENCHMARKS
from harness.spec.recipes import read_models
from impls.adapter import Setup, Sgd
from impls.jax.loader import endless_batches

MODELS = read_models(BENCHMARKS / "models.toml")
IMAGES = np.random.RandomState(3).randint(256, size=(70, 28, 28)).astype(np.uint8)
LABELS = np.arange(70).astype(np.uint8)
"""Each image has a label of its own, so that it can be found again."""


def batches(model: str, workers: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    setup = Setup(
        model=MODELS[model], optimizer=Sgd(learning_rate=0.1), batch_size=32, mode="compiled",
        device="cpu", threads=1, seed=7,
    )  # fmt: skip
    return list(islice(endless_batches(IMAGES, LABELS, setup, workers, "pipeline"), count))


def test_images_are_scaled_and_nothing_else():
    for images, labels in batches("lenet", 0, 6):
        assert (images.dtype, labels.dtype) == (np.float32, np.int32)
        assert np.array_equal(images[..., 0], IMAGES[labels] / np.float32(255))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_larger_images_are_those_that_the_suite_makes(workers):
    expected = resized_images(IMAGES, (96, 96))
    found = batches("resnet18", workers, 6)
    assert [len(labels) for _, labels in found] == [32, 32, 6] * 2
    assert sorted(np.concatenate([labels for _, labels in found[:3]])) == list(range(70))
    for images, labels in found:
        # The suite rounds to whole levels, as files do.
        off = np.abs(images[..., 0] * 255 - expected[labels])
        assert off.max() < 0.5 + 1e-3


def test_threads_change_nothing():
    for one, other in zip(batches("resnet18", 0, 6), batches("resnet18", 3, 6), strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
