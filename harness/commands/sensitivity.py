"""``levelfield sensitivity``: what the proof sees of a mistake, and what it can't see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from harness.analysis.deviations import Exactness, Observation, Sums, is_blunt, rounding_envelope
from harness.analysis.sensitivity import (
    Expected,
    Granted,
    Sensitivity,
    Tried,
    granted,
    sensitivities,
)
from harness.commands.catalogue import Catalogue
from harness.commands.inputs import DatasetProgress, find_datasets
from harness.commands.mistakes import Mistake, mistakes_of
from harness.commands.oracle import Versions, rounded_modes
from harness.commands.suites import REPRODUCED
from harness.console import Console
from harness.datasets.arrays import Arrays, load_arrays
from harness.datasets.order import OrderCursor, batch_order
from harness.datasets.resized import resized_dataset
from harness.datasets.weights import initial_weights
from harness.execution.planning import named
from harness.execution.proof import ProofPlan, proof_plan
from harness.spec.recipes import Recipe, oracle_optimizer
from harness.worker.loop import batches
from impls.adapter import Metrics, Setup
from impls.reference.adapter import ReferenceAdapter

WINDOW_STEPS = 20
"""Of a proof, as of the windows of small images."""


class RecipeSensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """What a recipe's proof grants, and what it catches."""

    recipe: str
    dataset: str
    steps: int
    window_steps: int
    seeds: tuple[int, ...]
    held_in_float64: int
    """From so many of the seeds float32 was too blunt, and float64 was held as well."""
    granted: tuple[Granted, ...]
    """In float32."""
    mistakes: tuple[Sensitivity, ...]


class SensitivityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``sensitivity --json`` says."""

    recipes: tuple[RecipeSensitivity, ...]


class Start(NamedTuple):
    """Where a proof begins."""

    weights: Mapping[str, NDArray[Any]]
    data: Arrays
    order: NDArray[np.int32]
    batch_size: int
    plan: ProofPlan


def show_sensitivity(
    console: Console,
    catalogue: Catalogue,
    names: Sequence[str],
    seeds: Sequence[int],
    data_dir: str | None,
    dataset: str | None = None,
    plan: ProofPlan | None = None,
) -> None:
    """The tables of each recipe stand on standard output, as Markdown.

    ``names``: of recipes; without any, those that ``reproduce`` trains. ``plan``: other steps than
    the proof's.

    Raises:
        LevelfieldError: a name or a dataset is none.
    """
    recipes = [named("recipe", name, catalogue.recipes) for name in names or REPRODUCED]
    recipes = [recipe.overridden(dataset=dataset) for recipe in recipes]
    datasets = find_datasets(console, recipes, data_dir)
    results = []
    for recipe in recipes:
        model = catalogue.models[recipe.model]
        _, height, width = model.input_shape
        found = resized_dataset(datasets[recipe.dataset], (height, width), DatasetProgress(console))
        result = sensitivity_of(
            console,
            catalogue,
            recipe.overridden(dataset=datasets[recipe.dataset].name),
            load_arrays(Path(found.folder)),
            seeds,
            plan or proof_plan(recipe.batch_size, model, WINDOW_STEPS),
        )
        for line in markdown(result):
            console.result(line)
        results.append(result)
    console.answer(SensitivityAnswer(recipes=tuple(results)))


def sensitivity_of(
    console: Console,
    catalogue: Catalogue,
    recipe: Recipe,
    data: Arrays,
    seeds: Sequence[int],
    plan: ProofPlan,
) -> RecipeSensitivity:
    """What the proof of ``recipe`` by ``plan`` grants and catches, from each of ``seeds``."""
    model, oracle = catalogue.models[recipe.model], catalogue.oracle
    setup = Setup(
        model=model,
        optimizer=oracle_optimizer(recipe.optimizer),
        batch_size=recipe.batch_size,
        mode=oracle.default_mode,
        device="cpu",
        threads=1,
        dropout=False,
    )
    exactness = catalogue_exactness(catalogue)

    def from_seed(seed: int) -> tuple[Expected, list[Tried]]:
        weights = initial_weights(model, recipe.init, seed)
        order = batch_order(seed, 1, len(data.train_labels))
        start = Start(weights, data, order, recipe.batch_size, plan)
        expected = expectation(setup, start, exactness)
        tried = [attempt(mistake, setup, start, expected) for mistake in mistakes_of(setup)]
        console.say(f"{recipe.label}, seed {seed}: {len(tried)} kinds of mistakes tried")
        return expected, tried

    # NumPy leaves the interpreter to others while it computes.
    with threadpool_limits(1), ThreadPoolExecutor(max_workers=2) as pool:
        done = list(pool.map(from_seed, seeds))
    return RecipeSensitivity(
        recipe=recipe.label,
        dataset=recipe.dataset,
        steps=plan.steps,
        window_steps=plan.window_steps,
        seeds=tuple(seeds),
        held_in_float64=sum(bool(expected.finer_envelope) for expected, _ in done),
        granted=granted([expected.envelope for expected, _ in done]),
        mistakes=sensitivities([tried for _, tried in done]),
    )


def catalogue_exactness(catalogue: Catalogue) -> Exactness:
    """What the widest of the implementations that compute in float64 is granted there."""
    able = [one.float64 for one in catalogue.implementations.values() if one.float64 is not None]
    return Exactness(max(one.parameters for one in able), max(one.statistics for one in able))


def expectation(setup: Setup, start: Start, exactness: Exactness) -> Expected:
    """What a proof of ``setup`` from ``start`` is held against."""
    *_, oracle = stages(ReferenceAdapter(setup), start)

    def seen(versions: Versions[str]) -> Iterator[list[Observation]]:
        for modes in versions:
            setups = [msgspec.structs.replace(setup, mode=mode) for mode in modes]
            yield [list(stages(ReferenceAdapter(one), start))[-1] for one in setups]

    modes = rounded_modes(setup.model, start.plan)
    envelope = rounding_envelope(oracle, *seen(modes.float32))
    finer = (
        rounding_envelope(oracle, *seen(modes.float64), roundings=0.0) if is_blunt(envelope) else {}
    )
    return Expected(oracle, envelope, finer, exactness, start.plan.window_steps)


def attempt(mistake: Mistake, setup: Setup, start: Start, expected: Expected) -> Tried:
    """``mistake`` was made in each of its sizes, up to the first that passes for honest."""
    caught = []
    for size in mistake.sizes:
        failures = (
            expected.first_failure(seen, float32_alone=mistake.float32_alone)
            for seen in stages(mistake.adapter(setup, size), start)
        )
        failure = next(filter(None, failures), None)
        if failure is None:
            break
        caught.append(failure)
    return Tried(mistake.name, mistake.sizes, tuple(caught))


def stages(adapter: ReferenceAdapter, start: Start) -> Iterator[Observation]:
    """What parity compares of ``adapter``, after each single step as far as it goes, and whole.

    Most mistakes show at the first step: what follows need not be computed then.
    """
    cursor = OrderCursor(start.order)

    def trained(steps: int) -> Metrics:
        indices = cursor.take(steps, start.batch_size)
        adapter.train(adapter.stage(*batches(images, labels, indices)))
        return adapter.take_metrics()

    def mean_loss() -> float:
        metrics = trained(1)
        return metrics.loss_sum / metrics.examples

    images, labels = start.data.train_images, start.data.train_labels
    adapter.load_weights(start.weights)
    [first], _ = batches(images, labels, cursor.peek(start.batch_size)[np.newaxis])
    logits = adapter.logits(first)
    losses = [mean_loss()]
    seen = Observation(logits, adapter.weights(), adapter.logits(first), losses)
    for _ in range(start.plan.steps - 1):
        yield seen
        losses = [*losses, mean_loss()]
        seen = seen._replace(losses=losses)
    yield seen._replace(window=Sums(*trained(start.plan.window_steps)), end=adapter.weights())


def markdown(result: RecipeSensitivity) -> Iterator[str]:
    """One table of what is granted, one of what is caught."""
    seeds = len(result.seeds)
    yield (f"### {result.recipe} ({result.dataset}), seeds {result.seeds[0]} to {result.seeds[-1]}")
    yield ""
    yield (
        f"{result.steps} single steps, {result.window_steps} in one call. Held in float64 too: "
        f"{result.held_in_float64} of {seeds} seeds."
    )
    yield ""
    yield "| granted in float32, to the widest tensor or step | least | most |"
    yield "| --- | --- | --- |"
    for grant in result.granted:
        yield f"| {grant.check} | {grant.least:.1e} | {grant.most:.1e} |"
    yield ""
    yield f"| mistake | caught from all {seeds} seeds | mostly by | from fewer seeds |"
    yield "| --- | --- | --- | --- |"
    for each in result.mistakes:
        several = each.sizes if len(each.sizes) > 1 else ()
        least = "no" if each.least is None else f"x = {each.least:g}" if several else "yes"
        fewer = [
            f"{size.size:g}: {size.caught}" if several else f"{size.caught}"
            for size in each.sizes
            if 0 < size.caught < seeds
        ]
        yield f"| {each.mistake} | {least} | {each.check} | {', '.join(fewer)} |"
