"""Real workers on small data: this interpreter has all that the NumPy reference needs."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pynvml
import pytest

from harness import paths
from harness.datasets.arrays import Arrays, array_path
from harness.datasets.order import batch_order
from harness.datasets.weights import initial_weights
from harness.execution.contenders import Contender
from harness.execution.devices import device_inside
from harness.spec.cells import Cell
from harness.spec.recipes import Recipe, read_models, read_recipes
from harness.worker.wire import Job
from impls.adapter import Setup

ROGUES = Path(__file__).parent / "rogues"
BATCH_SIZE = 8
EXAMPLES = 100

MakeContender = Callable[..., Contender]


class RecordedNvml:
    """Answers as NVML gave them for one GPU; the energy counter moves on at each question.

    Constants and errors are those of the real bindings.
    """

    NVMLError = pynvml.NVMLError
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_CLOCK_MEM = pynvml.NVML_CLOCK_MEM
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, **answers: Any) -> None:
        self.answers = {
            "nvmlDeviceGetName": "NVIDIA Example 40GB",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=40 * 2**30, free=0, used=0),
            "nvmlDeviceGetClockInfo": {self.NVML_CLOCK_SM: 1410, self.NVML_CLOCK_MEM: 1215},
            "nvmlDeviceGetTemperature": 54,
            "nvmlDeviceGetPowerUsage": 153_250,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=97, memory=41),
            "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
            "nvmlDeviceGetTotalEnergyConsumption": itertools.count(5_000_000, 250_000),
            "nvmlDeviceGetComputeRunningProcesses": (),
            **answers,
        }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def function(handle: object, *key: int) -> Any:
            answer = self.answers[name]
            if isinstance(answer, itertools.count):
                return next(answer)
            if isinstance(answer, Exception):
                raise answer
            return answer[key[0]] if isinstance(answer, dict) else answer

        if name not in self.answers:
            raise AttributeError(name)
        return function


@pytest.fixture
def recorded_nvml() -> type[RecordedNvml]:
    return RecordedNvml


@pytest.fixture
def contender(tmp_path: Path) -> MakeContender:
    """Makes a contender from the name of a rogue, or from that of our own reference."""
    random = np.random.RandomState(0)
    arrays = Arrays(
        random.randint(0, 256, (EXAMPLES, 28, 28)).astype(np.uint8),
        random.randint(0, 10, EXAMPLES).astype(np.uint8),
        random.randint(0, 256, (30, 28, 28)).astype(np.uint8),
        random.randint(0, 10, 30).astype(np.uint8),
    )
    for field, array in arrays._asdict().items():
        np.save(array_path(tmp_path, field), array)
    np.save(tmp_path / "order.npy", batch_order(0, 2, EXAMPLES))
    model = read_models(paths.BENCHMARKS / "models.toml")["lenet"]
    np.savez(tmp_path / "weights.npz", **initial_weights(model, "xavier", 0))
    recipes = read_recipes(paths.BENCHMARKS / "recipes.toml")

    def make(name: str = "reference", recipe: str = "lenet-sgd", **cell: str) -> Contender:
        used: Recipe = recipes[recipe].overridden(batch_size=BATCH_SIZE, epochs=2)
        folder = ROGUES / name if (ROGUES / name).exists() else paths.IMPLS / name
        setup = Setup(
            model=model,
            optimizer=used.optimizer,
            batch_size=BATCH_SIZE,
            mode="eager",
            device=device_inside(cell.get("device", "cpu")),
            threads=1,
        )
        return Contender(
            Cell(recipe=used, framework=name, version="1", mode="eager", threads=1, **cell),
            Path(sys.executable),
            {
                "PATH": os.environ["PATH"],
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": cell.get("device", "cpu").partition(":")[2],
            },
            Job(
                implementation=name,
                folder=str(folder),
                setup=setup,
                data_folder=str(tmp_path),
                weights=str(tmp_path / "weights.npz"),
                order=str(tmp_path / "order.npy"),
            ),
        )

    return make
