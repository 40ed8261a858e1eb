"""A program against itself, to see what a machine's noise is."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from harness.analysis.resolution import CONTENDERS, paired_logs
from harness.commands.catalogue import Catalogue
from harness.console import Console
from harness.datasets.arrays import Arrays, array_path
from harness.datasets.order import batch_order
from harness.datasets.weights import initial_weights
from harness.environments.collection import Environments
from harness.environments.machine import default_threads
from harness.environments.records import SyncedEnvironment
from harness.environments.variables import worker_environment
from harness.errors import LevelfieldError, WorkplaceError
from harness.execution.block import Block, BlockPlan
from harness.execution.contenders import Contender
from harness.execution.planning import named
from harness.execution.schedule import turns
from harness.spec.cells import Cell
from harness.spec.events import AnyEvent, Failure
from harness.spec.implementations import Implementation
from harness.temporary import temporary_folder
from harness.worker.wire import Job
from impls.adapter import Setup

RECIPE = "lenet-sgd"
EXAMPLES = 12_000
"""Of made-up data: how fast a step is does not depend on what the images show."""
KERNEL_SIZE = 384
KERNEL_WINDOW_SECONDS = 0.3
KERNEL_ROUNDS = 6
START_SECONDS = 8.0
"""Of a worker, assumed where none was started."""


class Against(NamedTuple):
    """An A/A that has been run."""

    what: str
    logs: list[NDArray[np.float64]]
    """As ``paired_logs``."""
    block_seconds: float
    """Of a block of ``CONTENDERS``, their start included."""


def against_itself(
    console: Console, catalogue: Catalogue, seconds: float, framework: str | None = None
) -> Against:
    """The default cell of ``framework`` has run twice, side by side, for about ``seconds``.

    ``framework``: by default the one that is the reference contender where nobody says another.
    Without its environment: the next framework's that is there, the oracle's, or in the end a
    matrix product in this process. Nothing is installed.

    Raises:
        UsageError: there is no such framework.
        WorkplaceError: its workers failed.
    """
    frameworks = {n: one for n, one in catalogue.implementations.items() if one.role == "framework"}
    first = [] if framework is None else [named("framework", framework, frameworks)]
    usual = [frameworks[name] for name in catalogue.suites["cpu"].frameworks if name in frameworks]
    asked = [*first, *usual, *frameworks.values(), catalogue.oracle]
    for implementation in asked:
        environment = _environment(implementation)
        if environment is not None:
            if implementation != asked[0]:
                console.warn(_without(asked[0].title, implementation.title))
            what = f"{implementation.title} {environment.record.version}"
            console.say(f"{what} against itself, for about {seconds:g} s")
            return _workers(console, catalogue, implementation, environment, seconds, what)
    console.warn(_without(asked[0].title, "a matrix product of NumPy in this process"))
    console.say(f"A matrix product against itself, for about {seconds:g} s")
    return _kernel(seconds)


def _environment(implementation: Implementation) -> SyncedEnvironment | None:
    try:
        return Environments().find(implementation)
    except LevelfieldError:
        return None


def _without(wanted: str, used: str) -> str:
    return (
        f"There is no environment of {wanted} yet ('levelfield env sync' makes it): {used} stands "
        "in, and what is said below holds for that."
    )


def _workers(
    console: Console,
    catalogue: Catalogue,
    implementation: Implementation,
    environment: SyncedEnvironment,
    seconds: float,
    what: str,
) -> Against:
    """Blocks of two workers, as many as fit, at least two."""
    suite = catalogue.suites["cpu"]
    events: list[AnyEvent] = []
    durations: list[float] = []
    numbers = itertools.count(1)
    began = time.monotonic()
    with temporary_folder("doctor") as name:
        folder = Path(name)
        contender = _contender(catalogue, implementation, environment, folder)
        for number in itertools.count(1):
            block_began = time.monotonic()
            plan = BlockPlan(
                number=number,
                group="",
                long=False,
                seed=0,
                rounds=suite.rounds,
                window_steps=suite.window_steps,
                epochs=1,
            )
            twins = [contender, contender._replace(twin=True)]
            Block(plan, twins, folder, events.append, numbers).run()
            failures = [event for event in events if isinstance(event, Failure)]
            if failures:
                raise WorkplaceError(
                    f"A worker of {what} failed ({failures[0].phase}: {failures[0].reason}): "
                    f"'levelfield verify -f {implementation.name}' shows more"
                )
            durations.append(time.monotonic() - block_began)
            console.status(f"block {number}")
            if number > 1 and time.monotonic() - began + durations[-1] > seconds:
                break
    # At most: the workers of a block start side by side where there are CPUs for it.
    return Against(what, paired_logs(events), float(np.median(durations)) / 2 * CONTENDERS)


def _contender(
    catalogue: Catalogue,
    implementation: Implementation,
    environment: SyncedEnvironment,
    folder: Path,
) -> Contender:
    """The implementation's default mode on made-up data, whose files are in ``folder``."""
    recipe = catalogue.recipes[RECIPE]
    model = catalogue.models[recipe.model]
    generator = np.random.RandomState(0)
    _, height, width = model.input_shape
    images = generator.randint(0, 256, (EXAMPLES, height, width)).astype(np.uint8)
    labels = generator.randint(0, 10, EXAMPLES).astype(np.uint8)
    arrays = Arrays(images, labels, images[:100], labels[:100])
    for field, array in arrays._asdict().items():
        np.save(array_path(folder, field), array)
    np.save(folder / "order.npy", batch_order(0, recipe.epochs, EXAMPLES))
    weights = initial_weights(model, recipe.init, 0)
    np.savez(folder / "weights.npz", **weights)  # type: ignore[arg-type]  # numpy/numpy#23006
    threads, mode = default_threads(), implementation.default_mode
    return Contender(
        Cell(
            recipe=recipe,
            framework=implementation.name,
            version=environment.record.version,
            mode=mode,
            threads=threads,
        ),
        Path(environment.python),
        worker_environment(implementation, "matched", threads, "cpu"),
        Job(
            implementation=implementation.name,
            folder=implementation.folder,
            shared=implementation.shared_folders,
            setup=Setup(
                model=model,
                optimizer=recipe.optimizer,
                batch_size=recipe.batch_size,
                mode=mode,
                device="cpu",
                threads=threads,
            ),
            data_folder=str(folder),
            weights=str(folder / "weights.npz"),
            order=str(folder / "order.npy"),
        ),
    )


def _kernel(seconds: float) -> Against:
    """Windows of a matrix product under two names, in turns, in blocks of ``KERNEL_ROUNDS``."""
    matrix = np.random.RandomState(0).rand(KERNEL_SIZE, KERNEL_SIZE).astype(np.float32)
    logs: list[NDArray[np.float64]] = []
    with threadpool_limits(default_threads()):
        products = _products_in(matrix, KERNEL_WINDOW_SECONDS)
        began = time.perf_counter()
        while len(logs) < 2 or time.perf_counter() - began < seconds:
            taken = np.empty((KERNEL_ROUNDS, 2))
            for row, order in zip(taken, turns(0, len(logs), 2, KERNEL_ROUNDS), strict=True):
                for place in order:
                    row[place] = _seconds_of(matrix, products)
            logs.append(np.log(taken[:, 0] / taken[:, 1]))
    measuring_seconds = KERNEL_ROUNDS * KERNEL_WINDOW_SECONDS
    return Against("a matrix product", logs, CONTENDERS * (START_SECONDS + measuring_seconds))


def _products_in(matrix: NDArray[np.float32], seconds: float) -> int:
    """How many products take at least ``seconds``."""
    began = time.perf_counter()
    for count in itertools.count(1):
        _ = matrix @ matrix
        if time.perf_counter() - began >= seconds:
            return count
    raise AssertionError


def _seconds_of(matrix: NDArray[np.float32], products: int) -> float:
    began = time.perf_counter()
    for _ in range(products):
        _ = matrix @ matrix
    return time.perf_counter() - began
