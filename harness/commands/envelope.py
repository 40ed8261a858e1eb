"""``tox -e envelope``: what rounding alone does to the oracle, recipe by recipe.

A framework computes in float32 and in an order of its own. How far that may take it from the
float64 oracle depends on the network: depth adds up roundings, a normalization divides by what may
be small, and a step that follows a rounding's whim is followed by nine more. So the oracle itself
is run in float32 (adding up as some CPU kernels do, one value after the other) and in float64 from
the same weights and batches, and ten times the largest deviation between the two is what a cell of
that recipe is granted: ``tolerances`` in ``benchmarks/recipes.toml``. None is granted less than the
LeNets are.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from harness.analysis.parity import (
    Observation,
    deviations_from_oracle,
    is_of_forward_pass,
)
from harness.commands.catalogue import Catalogue
from harness.commands.inputs import DatasetProgress, find_datasets
from harness.commands.preparation import sync_environments
from harness.console import Console
from harness.datasets.order import batch_order
from harness.datasets.records import Dataset
from harness.datasets.resized import resized_dataset
from harness.datasets.weights import initial_weights
from harness.environments.machine import default_threads
from harness.environments.variables import worker_environment
from harness.errors import WorkplaceError
from harness.execution.block import Contender
from harness.execution.planning import Choice, named
from harness.execution.process import WorkerError
from harness.execution.proof import take_proof
from harness.spec.cells import Cell
from harness.spec.events import Deviation
from harness.spec.recipes import Recipe, Tolerances
from harness.temporary import temporary_folder
from harness.worker.wire import Job
from impls.adapter import Setup

ROUNDED_MODE = "float32"
"""The oracle's mode beside its own."""
SEEDS = (0, 1, 2)
"""Of weights and batches."""
FACTOR = 10
"""How many times the envelope a cell is granted: libraries differ in the order of their sums."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The largest deviations of the oracle in float32 from the oracle in float64."""

    of_forward_pass: Deviation
    """Of the initial logits, the first loss, and the running statistics after one step."""
    at_step_1: Deviation
    """Of the weights after one step."""
    at_steps_2_to_10: Deviation
    """Of the logits after one step and the later losses."""

    @property
    def tolerances(self) -> Tolerances:
        """What a cell is granted: ten times that, never less than the LeNets' tolerances."""
        least = Tolerances()
        return Tolerances(
            forward=max(least.forward, granted(self.of_forward_pass)),
            step_1=max(least.step_1, granted(self.at_step_1)),
            steps_2_to_10=max(least.steps_2_to_10, granted(self.at_steps_2_to_10)),
        )


def granted(deviation: Deviation) -> float:
    """Ten times ``deviation``, rounded up to one significant digit; infinite where it is."""
    if deviation.value is None:
        return float("inf")
    rounding = decimal.Context(prec=1, rounding=decimal.ROUND_CEILING)
    return float(rounding.create_decimal(FACTOR * decimal.Decimal(repr(deviation.value))))


def envelope_of(deviations: Iterable[Deviation]) -> Envelope:
    """The largest of ``deviations``; one that is not finite is larger than any."""

    def size(deviation: Deviation) -> float:
        return float("inf") if deviation.value is None else deviation.value

    each = list(deviations)
    forward = [one for one in each if is_of_forward_pass(one.check, one.step, one.tensor)]
    return Envelope(
        of_forward_pass=max(forward, key=size),
        at_step_1=max((one for one in each if one.step <= 1 and one not in forward), key=size),
        at_steps_2_to_10=max((one for one in each if one.step > 1), key=size),
    )


def entry(recipe: Recipe, dataset: str, envelope: Envelope) -> str:
    """The lines that stand for ``envelope`` in ``benchmarks/recipes.toml``."""
    forward, first = envelope.of_forward_pass, envelope.at_step_1
    later = envelope.at_steps_2_to_10
    tolerances = envelope.tolerances
    return (
        f"# [{recipe.name}] float32 against float64 on {dataset}, seeds {SEEDS[0]} to {SEEDS[-1]}: "
        f"{_shown(forward)}; {_shown(first)}; {_shown(later)}\n"
        f"tolerances = {{ forward = {tolerances.forward:.0e}, step_1 = {tolerances.step_1:.0e}, "
        f"steps_2_to_10 = {tolerances.steps_2_to_10:.0e} }}"
    )


def measure(console: Console, catalogue: Catalogue, names: Sequence[str]) -> dict[str, str]:
    """Recipe → its measured lines, for ``names`` or for all whose tolerances aren't the LeNets'.

    Raises:
        LevelfieldError: there is no such recipe, dataset or environment, or the oracle failed.
    """
    recipes = [named("recipe", name, catalogue.recipes) for name in names] or [
        recipe for recipe in catalogue.recipes.values() if recipe.tolerances != Tolerances()
    ]
    datasets = find_datasets(console, recipes, None)
    entries = {}
    with temporary_folder("envelope") as folder:
        oracle = Oracle(console, catalogue, Path(folder))
        for recipe in recipes:
            dataset = datasets[recipe.dataset]
            deviations: list[Deviation] = []
            for seed in SEEDS:
                try:
                    found = oracle.deviations(recipe, dataset, seed)
                except WorkerError as error:
                    raise WorkplaceError(
                        f"The oracle failed in {error.phase} ({error.reason}): mend it first"
                    ) from None
                worst = envelope_of(found)
                console.say(
                    f"{recipe.name}, seed {seed}: {_shown(worst.of_forward_pass)}; "
                    f"{_shown(worst.at_step_1)}; {_shown(worst.at_steps_2_to_10)}"
                )
                deviations += found
            entries[recipe.name] = entry(recipe, dataset.name, envelope_of(deviations))
            console.result(entries[recipe.name])
    return entries


class Oracle:
    """Runs the oracle in both of its modes, as ``levelfield verify`` runs it in one."""

    def __init__(self, console: Console, catalogue: Catalogue, folder: Path) -> None:
        self._console = console
        self._models = catalogue.models
        self._implementation = catalogue.oracle
        self._folder = folder
        [self._environment] = sync_environments(console, [Choice(catalogue.oracle, None)], "cpu")

    def deviations(self, recipe: Recipe, dataset: Dataset, seed: int) -> tuple[Deviation, ...]:
        """Every check of a parity proof, in float32 against float64.

        Raises:
            WorkerError: the oracle failed.
        """
        job = self._job(recipe, dataset, seed)
        modes = (ROUNDED_MODE, self._implementation.default_mode)
        rounded, exact = (self._observation(recipe, job, mode) for mode in modes)
        return deviations_from_oracle(rounded, exact)

    def _observation(self, recipe: Recipe, job: Job, mode: str) -> Observation:
        oracle = self._implementation
        cell = Cell(
            recipe=recipe,
            framework=oracle.name,
            version=self._environment.record.version,
            mode=mode,
            threads=job.setup.threads,
        )
        contender = Contender(
            cell,
            Path(self._environment.python),
            worker_environment(oracle, "matched", cell.threads, "cpu"),
            msgspec.structs.replace(job, setup=msgspec.structs.replace(job.setup, mode=mode)),
        )
        proof = take_proof(contender, self._folder / "worker.log")
        return Observation(
            logits=proof.logits,
            weights=proof.weights,
            logits_after_step=proof.logits_after_step,
            losses=proof.losses,
        )

    def _job(self, recipe: Recipe, dataset: Dataset, seed: int) -> Job:
        """What a worker builds from ``seed``; its files are in the folder."""
        model = self._models[recipe.model]
        _, height, width = model.input_shape
        images = resized_dataset(dataset, (height, width), DatasetProgress(self._console))
        weights, order = self._folder / "weights.npz", self._folder / "order.npy"
        arrays = initial_weights(model, recipe.init, seed)
        np.savez(weights, **arrays)  # type: ignore[arg-type]  # numpy/numpy#23006
        np.save(order, batch_order(seed, 1, dataset.train_examples))
        return Job(
            implementation=self._implementation.name,
            folder=self._implementation.folder,
            setup=Setup(
                model=model,
                optimizer=recipe.optimizer,
                batch_size=recipe.batch_size,
                mode=self._implementation.default_mode,
                device="cpu",
                threads=default_threads(),
                seed=seed,
            ),
            data_folder=images.folder,
            weights=str(weights),
            order=str(order),
        )


def _shown(deviation: Deviation) -> str:
    """``1.2e-7 (weights conv1.bias at step 1)``."""
    size = "not finite" if deviation.value is None else f"{deviation.value:.1e}"
    what = " ".join(filter(None, (deviation.check, deviation.tensor)))
    return f"{size} ({what} at step {deviation.step})"
