"""What workers read: images in a model's size, initial weights, batch orders; jobs made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.console import Console
from harness.datasets.arrays import digest_of_order, digest_of_weights
from harness.datasets.catalogue import read_catalogue as read_datasets
from harness.datasets.order import batch_order
from harness.datasets.records import Dataset
from harness.datasets.resized import resized_dataset
from harness.datasets.search import find_dataset
from harness.datasets.weights import initial_weights
from harness.errors import UsageError
from harness.execution.devices import device_inside
from harness.execution.proof import PROOF_STEPS
from harness.execution.schedule import equal_step_epochs
from harness.spec.cells import Cell
from harness.spec.events import Hashes, Manifest
from harness.spec.recipes import Recipe
from harness.spec.selection import Selection
from harness.worker.wire import Job, Loader
from impls.adapter import Setup
from impls.definition import Model


class Inputs:
    """The files that workers read, in one folder; made anew where missing."""

    def __init__(
        self,
        folder: Path,
        models: Mapping[str, Model],
        manifest: Manifest,
        datasets: Mapping[str, Dataset],
        progress: DatasetProgress,
    ) -> None:
        self._folder = folder
        self._models = models
        self._epochs = max(cell.recipe.epochs for cell in manifest.cells)
        self._datasets = datasets
        self._progress = progress
        self._weight_hashes: dict[Path, str] = {}
        self._resized: dict[tuple[str, int, int], Dataset] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def job(self, cell: Cell, seed: int) -> Job:
        """What a worker of ``cell`` builds from ``seed``; the implementation is left open."""
        recipe = cell.recipe
        published = self._datasets[recipe.dataset]
        return Job(
            implementation="",
            folder="",
            setup=Setup(
                model=self._models[recipe.model],
                optimizer=recipe.optimizer,
                batch_size=recipe.batch_size,
                mode=cell.mode,
                device=device_inside(cell.device),
                threads=cell.threads,
                seed=seed,
            ),
            data_folder=self._dataset(recipe).folder,
            weights=str(self._weights(recipe, seed)),
            order=str(self._order(recipe, seed)),
            loader=(
                None
                if cell.input == "resident"
                else Loader(
                    kind=cell.input, data_folder=published.folder, workers=cell.loader_workers
                )
            ),
        )

    def expected_hashes(self, cell: Cell, seed: int) -> Hashes:
        """What a worker of ``cell`` must report after a proof from ``seed``."""
        order = np.load(self._order(cell.recipe, seed), mmap_mode="r")
        return Hashes(
            data=self._dataset(cell.recipe).sha256,
            weights=self._weight_hashes[self._weights(cell.recipe, seed)],
            order=digest_of_order(order[0][: cell.recipe.proof_batch_size * PROOF_STEPS]),
        )

    def _dataset(self, recipe: Recipe) -> Dataset:
        """The recipe's dataset in the size of its model's images."""
        _, height, width = self._models[recipe.model].input_shape
        key = (recipe.dataset, height, width)
        if key not in self._resized:
            self._resized[key] = resized_dataset(
                self._datasets[recipe.dataset], (height, width), self._progress
            )
        return self._resized[key]

    def _weights(self, recipe: Recipe, seed: int) -> Path:
        path = self._folder / f"weights-{recipe.model}-{recipe.init}-{seed}.npz"
        if path not in self._weight_hashes:
            weights = initial_weights(self._models[recipe.model], recipe.init, seed)
            np.savez(path, **weights)  # type: ignore[arg-type]  # numpy/numpy#23006
            self._weight_hashes[path] = digest_of_weights(weights)
        return path

    def _order(self, recipe: Recipe, seed: int) -> Path:
        path = self._folder / f"order-{recipe.dataset}-{self._epochs}-{seed}.npy"
        if not path.exists():
            examples = self._datasets[recipe.dataset].train_examples
            np.save(path, batch_order(seed, self._epochs, examples))
        return path


class DatasetProgress:
    """Tells the console what a search for a dataset does."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        """The console says ``text``."""
        self._console.say(text)

    def advance(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        """The console shows how far ``what`` has come."""
        self._console.transferred(what, done_bytes, total_bytes)


def find_datasets(
    console: Console, recipes: Sequence[Recipe], data_dir: str | None
) -> dict[str, Dataset]:
    """Asked name → dataset found; a stand-in is said loudly."""
    found = {}
    for name in dict.fromkeys(recipe.dataset for recipe in recipes):
        dataset = find_dataset(
            name, Path(data_dir) if data_dir else None, progress=DatasetProgress(console)
        )
        if dataset.fallback_for:
            console.warn(
                f"{dataset.fallback_for} was not found and could not be downloaded. The embedded "
                f"{dataset.name} ({dataset.train_examples:,} training images) stands in: another "
                "dataset, whose results are not comparable with those of the full one."
            )
        else:
            console.say(
                f"{name}: {dataset.train_examples:,} + {dataset.test_examples:,} images, "
                f"from {dataset.source} ({dataset.place})"
            )
        found[name] = dataset
    return found


def on_found_dataset(
    recipe: Recipe, datasets: Mapping[str, Dataset], selection: Selection
) -> Recipe:
    """``recipe`` on the dataset that was found, with the steps of the one it was written for.

    An explicit number of epochs is kept as it is.
    """
    found = datasets[recipe.dataset]
    entries = read_datasets()
    marks = dict(mark.split("=", 1) for mark in recipe.overrides)
    if found.name == recipe.dataset and "dataset" not in marks:
        return recipe
    epochs = recipe.epochs
    if selection.epochs is None:
        whole = max(entry.train_examples for entry in entries.values())
        epochs = equal_step_epochs(recipe.epochs, recipe.batch_size, found.train_examples, whole)
    return recipe.overridden(dataset=found.name, epochs=epochs)


def same_datasets(console: Console, manifest: Manifest, data_dir: str | None) -> dict[str, Dataset]:
    """Name → each dataset that the run was planned with.

    Raises:
        UsageError: one of them is not the same any more.
    """
    datasets = {}
    for used in manifest.datasets:
        found = find_dataset(
            used.name, Path(data_dir) if data_dir else None, progress=DatasetProgress(console)
        )
        if found.sha256 != used.sha256:
            raise UsageError(
                f"{used.name} is {found.sha256[:12]}, expected {used.sha256[:12]} as when the run "
                "began: start a new run"
            )
        datasets[used.name] = found
    return datasets
