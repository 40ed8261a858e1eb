"""What a worker is told to build."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness import paths
from harness.commands.inputs import DatasetProgress, Inputs
from harness.console import Console
from harness.datasets.search import find_dataset
from harness.environments.variables import worker_environment
from harness.execution.proof import ProofPlan
from harness.spec.cells import Cell
from harness.spec.implementations import read_implementation
from harness.spec.recipes import read_models, read_recipes

RECIPE = read_recipes(paths.BENCHMARKS / "recipes.toml")["lenet-sgd"].overridden(
    dataset="fashion-mnist-20k", epochs=1
)


PLAN = ProofPlan(steps=2, window_steps=3)


@pytest.mark.parametrize(
    ("device", "inside", "visible"),
    [("cpu", "cpu", ""), ("gpu", "gpu:0", "0"), ("gpu:1", "gpu:0", "1")],
)
def test_a_worker_is_shown_the_chosen_gpu_and_told_its_own_name_of_it(
    tmp_path: Path, device: str, inside: str, visible: str
) -> None:
    cell = Cell(recipe=RECIPE, framework="x", version="1", mode="eager", device=device, threads=1)
    manifest: Any = SimpleNamespace(cells=(cell,))
    progress = DatasetProgress(Console())
    inputs = Inputs(
        tmp_path,
        read_models(paths.BENCHMARKS / "models.toml"),
        manifest,
        {RECIPE.dataset: find_dataset(RECIPE.dataset, None, progress=progress)},
        progress,
    )
    assert inputs.job(cell, 1).setup.device == inside
    reference = read_implementation(paths.IMPLS / "reference")
    variables = worker_environment(reference, "matched", 1, device, base={}, home=tmp_path)
    assert variables["CUDA_VISIBLE_DEVICES"] == visible


def test_what_an_earlier_process_left_is_made_anew(tmp_path: Path) -> None:
    """A full disk, or a kill, tears such files; a resume must not read them."""
    cell = Cell(recipe=RECIPE, framework="x", version="1", mode="eager", threads=1)
    manifest: Any = SimpleNamespace(cells=(cell,))
    progress = DatasetProgress(Console())
    datasets = {RECIPE.dataset: find_dataset(RECIPE.dataset, None, progress=progress)}
    models = read_models(paths.BENCHMARKS / "models.toml")

    def written() -> tuple[Inputs, Path, Path]:
        inputs = Inputs(tmp_path, models, manifest, datasets, progress)
        job = inputs.job(cell, 1)
        return inputs, Path(job.order), Path(job.weights)

    first, order, weights = written()
    whole = order.read_bytes(), weights.read_bytes()
    order.write_bytes(whole[0][:1000])
    weights.write_bytes(b"")
    again, *paths_again = written()
    assert paths_again == [order, weights]
    assert np.array_equal(np.load(order), np.load(io.BytesIO(whole[0])))
    assert np.load(weights).files == np.load(io.BytesIO(whole[1])).files
    assert again.expected_hashes(cell, 1, PLAN) == first.expected_hashes(cell, 1, PLAN)
