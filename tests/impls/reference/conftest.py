"""Small models, their weights and a few batches, for the reference's tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.paths import BENCHMARKS
from harness.spec.recipes import read_models
from impls.definition import Model


@pytest.fixture(scope="session")
def models() -> dict[str, Model]:
    """Those whose images are small."""
    known = read_models(BENCHMARKS / "models.toml")
    return {name: model for name, model in known.items() if model.input_shape == (1, 28, 28)}


@pytest.fixture(scope="session")
def lenet(models: dict[str, Model]) -> Model:
    return models["lenet"]


def drawn(model: Model) -> dict[str, NDArray[Any]]:
    """Kernels U(±√(6 ÷ (in + out))) float32; of the others none is trivially 0 or 1 either."""
    random = np.random.RandomState(1)
    weights = {}
    for name, shape in model.weight_shapes().items():
        if name.endswith(".running_var"):
            low, high = 0.5, 2.0
        else:
            high = math.sqrt(6 / (sum(shape[:2]) * math.prod(shape[2:])))
            low = -high
        weights[name] = random.uniform(low, high, shape).astype(np.float32)
    return weights


@pytest.fixture
def weights_of() -> Callable[[Model], dict[str, NDArray[Any]]]:
    return drawn


@pytest.fixture
def xavier(lenet: Model) -> dict[str, NDArray[Any]]:
    return drawn(lenet)


@pytest.fixture
def images(lenet: Model) -> NDArray[np.float32]:
    """(3, 4, C, H, W) in [0, 1]: three steps of four images."""
    random = np.random.RandomState(2)
    return random.uniform(size=(3, 4, *lenet.input_shape)).astype(np.float32)


@pytest.fixture
def labels() -> NDArray[np.int64]:
    """(3, 4) in [0, 10)."""
    return np.random.RandomState(3).randint(0, 10, (3, 4)).astype(np.int64)
