"""What workers read: images in a model's size, initial weights, batch orders; jobs made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.console import Console
from harness.datasets.arrays import (
    ExamplesDigest,
    digest_of_weights,
    examples_digest,
    load_arrays,
)
from harness.datasets.catalogue import read_catalogue as read_datasets
from harness.datasets.order import OrderCursor, batch_order
from harness.datasets.records import Dataset
from harness.datasets.resized import resized_dataset
from harness.datasets.search import find_dataset
from harness.datasets.weights import initial_weights
from harness.errors import UsageError
from harness.execution.devices import device_inside
from harness.execution.proof import ProofPlan
from harness.execution.schedule import equal_step_epochs
from harness.files import whole
from harness.spec.cells import Cell
from harness.spec.manifest import Manifest
from harness.spec.proof_events import Hashes
from harness.spec.recipes import Recipe
from harness.spec.selection import Selection
from harness.worker.wire import Job, Loader
from impls.adapter import Setup
from impls.definition import Model


class Inputs:
    """The files that workers read, in one folder.

    What an earlier process left there is not trusted, it may be torn: all is made anew, from seeds.
    """

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
        self._orders: set[Path] = set()
        self._published: dict[str, PublishedExamples] = {}
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

    def expected_hashes(self, cell: Cell, seed: int, plan: ProofPlan) -> Hashes:
        """What a worker of ``cell`` must report after a proof from ``seed``."""
        cursor = OrderCursor(np.load(self._order(cell.recipe, seed), mmap_mode="r"))
        size = cell.recipe.batch_size
        for steps in (*[1] * plan.steps, plan.window_steps):
            cursor.require(steps * size)
            cursor.take(steps, size)
        return Hashes(
            data=self.data_hash(cell), weights=self.weights_hash(cell, seed), order=cursor.hash
        )

    def data_hash(self, cell: Cell) -> str:
        """Digest of the arrays that ``cell`` trains on, as ``Hashes.data``."""
        return self._dataset(cell.recipe).sha256

    def weights_hash(self, cell: Cell, seed: int) -> str:
        """Digest of its initial weights, as ``Hashes.weights``."""
        return self._weight_hashes[self._weights(cell.recipe, seed)]

    def order_hash(self, cell: Cell, seed: int) -> str:
        """Digest of the whole order of examples, of all epochs that the run may need."""
        order = np.load(self._order(cell.recipe, seed), mmap_mode="r")
        return hashlib.sha256(order[: cell.recipe.epochs].tobytes()).hexdigest()

    def published_examples(self, cell: Cell) -> PublishedExamples:
        """What an epoch of a loader over its dataset has to bring."""
        name = cell.recipe.dataset
        if name not in self._published:
            data = load_arrays(Path(self._datasets[name].folder))
            self._published[name] = PublishedExamples(
                examples_digest(data.train_images, data.train_labels),
                tuple(int(n) for n in np.bincount(data.train_labels, minlength=Model.CLASSES)),
            )
        return self._published[name]

    def train_examples(self, cell: Cell) -> int:
        """Of its dataset."""
        return self._datasets[cell.recipe.dataset].train_examples

    def test_examples(self, cell: Cell) -> int:
        """Of its dataset."""
        return self._datasets[cell.recipe.dataset].test_examples

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
            with whole(path, durable=False) as file:
                np.savez(file, **weights)  # type: ignore[arg-type]  # numpy/numpy#23006
            self._weight_hashes[path] = digest_of_weights(weights)
        return path

    def _order(self, recipe: Recipe, seed: int) -> Path:
        path = self._folder / f"order-{recipe.dataset}-{self._epochs}-{seed}.npy"
        if path not in self._orders:
            examples = self._datasets[recipe.dataset].train_examples
            with whole(path, durable=False) as file:
                np.save(file, batch_order(seed, self._epochs, examples))
            self._orders.add(path)
        return path


class PublishedExamples(NamedTuple):
    """A dataset's training set, whatever its order."""

    digest: ExamplesDigest
    """Of its images as they were published."""
    labels: tuple[int, ...]
    """Examples by class."""


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
