"""``levelfield show MODEL``: one model's layers, as each framework itself sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np

from harness.commands.inputs import DatasetProgress
from harness.commands.layers import ShownLayer, aligned_rows, parameter_differences
from harness.commands.listings import ListedLayer, ListedModel, listed_model, shape_text
from harness.commands.resources import sync_environments
from harness.console import Console
from harness.datasets.order import batch_order
from harness.datasets.search import find_dataset
from harness.datasets.weights import initial_weights
from harness.environments.machine import default_threads
from harness.environments.records import SyncedEnvironment
from harness.environments.variables import worker_environment
from harness.errors import WorkplaceError
from harness.execution.planning import Choice
from harness.execution.process import WorkerError, WorkerProcess
from harness.temporary import temporary_folder
from harness.worker.wire import Describe, Described, Job, Ready
from impls.adapter import LayerLine, Setup, Sgd
from impls.definition import Model

DATASET = "fashion-mnist-20k"
"""A worker wants data before it answers; this one needs no network, and nothing is trained."""


class ShownFramework(msgspec.Struct, frozen=True, kw_only=True):
    """A model in one framework."""

    framework: str
    title: str
    version: str | None = None
    mode: str
    layers: tuple[ShownLayer, ...] = ()
    """In the order of the forward pass."""
    differences: tuple[str, ...] = ()
    """In what its parameters are not those of the definition."""
    failure: str | None = None
    """Why there are no layers."""

    @property
    def parameters(self) -> int:
        """Of all layers together."""
        return sum(layer.parameters for layer in self.layers)


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``show --json`` says."""

    model: ListedModel
    """By its definition."""
    frameworks: tuple[ShownFramework, ...]


def show_model(console: Console, model: Model, choices: Sequence[Choice]) -> int:
    """The console shows ``model`` in each framework; the exit code, 2 where one could not say.

    Raises:
        UsageError: a version was asked for that is none.
    """
    definition = listed_model(model)
    with temporary_folder("show") as folder:
        job = _job(console, model, Path(folder))
        shown = tuple(_shown(console, definition, choice, job, Path(folder)) for choice in choices)
    answered = [one for one in shown if one.failure is None]
    if answered:
        versions = ", ".join(f"{one.title} {one.version}" for one in answered)
        title = f"{model.name}, images of {shape_text(model.input_shape)}: {versions}"
        columns = ((one.title, "output", "parameters") for one in answered)
        console.table(title, ["layer", *chain(*columns)], _table(definition, answered))
    console.result(
        f"By definition {definition.parameters:,} parameters; per image "
        f"{definition.forward_flops / 1e6:,.2f} MFLOP forward, "
        f"{definition.training_flops / 1e6:,.2f} MFLOP in training"
    )
    for one in shown:
        for difference in one.differences:
            console.warn(f"{one.title}: {difference}")
        if one.failure is not None:
            console.warn(f"{one.title} is not shown: {one.failure}")
    console.answer(ModelAnswer(model=definition, frameworks=shown))
    return 0 if len(answered) == len(shown) else 2


def _job(console: Console, model: Model, folder: Path) -> Job:
    """What a worker builds (implementation and mode left open); its files are in ``folder``."""
    dataset = find_dataset(DATASET, progress=DatasetProgress(console))
    weights, order = folder / "weights.npz", folder / "order.npy"
    np.savez(weights, **initial_weights(model, "xavier", 0))  # type: ignore[arg-type]  # numpy/numpy#23006
    np.save(order, batch_order(0, 1, dataset.train_examples))
    return Job(
        implementation="",
        folder="",
        setup=Setup(
            model=model,
            optimizer=Sgd(learning_rate=0.1),
            batch_size=1,
            mode="",
            device="cpu",
            threads=default_threads(),
        ),
        data_folder=dataset.folder,
        weights=str(weights),
        order=str(order),
        warm_up_steps=None,
    )


def _shown(
    console: Console, definition: ListedModel, choice: Choice, job: Job, folder: Path
) -> ShownFramework:
    """What one framework says of the model, or why it says nothing."""
    implementation = choice.implementation
    mode = implementation.default_mode
    shown = ShownFramework(framework=implementation.name, title=implementation.title, mode=mode)
    try:
        [environment] = sync_environments(console, [choice], "cpu")
        console.status(f"asking {implementation.title}")
        setup = msgspec.structs.replace(job.setup, mode=mode)
        variables = worker_environment(implementation, "matched", setup.threads, "cpu")
        job = msgspec.structs.replace(
            job,
            implementation=implementation.name,
            folder=implementation.folder,
            shared=implementation.shared_folders,
            setup=setup,
        )
        log = folder / f"{implementation.name}.log"
        lines = _described(environment, variables, job, log)
    except WorkplaceError as error:
        return msgspec.structs.replace(shown, failure=str(error))
    except WorkerError as error:
        return msgspec.structs.replace(shown, failure=f"{error.phase}: {error.reason}")
    layers = tuple(ShownLayer(**line._asdict()) for line in lines)
    return msgspec.structs.replace(
        shown,
        version=environment.record.version,
        layers=layers,
        differences=parameter_differences(_defined_layers(definition.layers), layers),
    )


def _described(
    environment: SyncedEnvironment, variables: Mapping[str, str], job: Job, log: Path
) -> tuple[LayerLine, ...]:
    """The answer of a fresh worker.

    Raises:
        WorkerError: the worker failed.
    """
    python, options = Path(environment.python), environment.options
    with WorkerProcess(python, variables, log, options=options) as process:
        process.greet()
        process.ask(job, Ready, "import")
        described = process.ask(Describe(), Described, "description")
        process.finish()
    return described.layers


def _defined_layers(layers: Iterable[ListedLayer]) -> Iterator[ShownLayer]:
    """The definition's layers in the order of the forward pass, what a layer holds before it."""
    for layer in layers:
        yield from _defined_layers(layer.layers)
        yield from _defined_layers(layer.shortcut)
        yield ShownLayer(
            name=layer.name,
            kind=layer.kind,
            output_shape=layer.output_shape,
            parameters=0 if layer.layers else layer.parameters,
        )


def _table(definition: ListedModel, shown: Sequence[ShownFramework]) -> list[list[str]]:
    """A row for each layer, and the totals; numbers of parameters end at the same place."""
    columns = [one.layers for one in shown]
    table = []
    for defined, *cells in aligned_rows([tuple(_defined_layers(definition.layers)), *columns]):
        first = defined or next(cell for cell in cells if cell)
        row = [first.name or (defined.kind if defined else "")]
        for cell in cells:
            row += _texts(cell)
        table.append(row)
    table.append(["total", *chain(*(("", "", f"{one.parameters:,}") for one in shown))])
    for column in range(3, len(table[0]), 3):
        width = max(len("parameters"), *(len(row[column]) for row in table))
        for row in table:
            row[column] = row[column].rjust(width)
    return table


def _texts(layer: ShownLayer | None) -> list[str]:
    if layer is None:
        return ["", "", ""]
    count = f"{layer.parameters:,}" if layer.parameters else ""
    return [layer.kind, shape_text(layer.output_shape), count]
