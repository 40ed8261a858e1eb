"""LeNet, its weights and a few batches, for the reference's tests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.paths import BENCHMARKS
from harness.spec.recipes import read_models
from impls.definition import Model


@pytest.fixture(scope="session")
def lenet() -> Model:
    return read_models(BENCHMARKS / "models.toml")["lenet"]


@pytest.fixture
def xavier(lenet: Model) -> dict[str, NDArray[Any]]:
    """U(±√(6 ÷ (in + out))) float32; biases are drawn as well, so that none is trivially 0."""
    random = np.random.RandomState(1)
    weights = {}
    for name, shape in lenet.parameter_shapes().items():
        fans = sum(shape[:2]) * math.prod(shape[2:])
        bound = math.sqrt(6 / fans)
        weights[name] = random.uniform(-bound, bound, shape).astype(np.float32)
    return weights


@pytest.fixture
def images(lenet: Model) -> NDArray[np.float32]:
    """(3, 4, C, H, W) in [0, 1]: three steps of four images."""
    random = np.random.RandomState(2)
    return random.uniform(size=(3, 4, *lenet.input_shape)).astype(np.float32)


@pytest.fixture
def labels() -> NDArray[np.int64]:
    """(3, 4) in [0, 10)."""
    return np.random.RandomState(3).randint(0, 10, (3, 4)).astype(np.int64)
