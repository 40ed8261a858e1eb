"""What a run will consist of, as far as that is known before anything is fetched or made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.commands.catalogue import Catalogue
from harness.commands.gpu_preflight import (
    cells_before_installation,
    check_device_free,
    fit_for_device,
)
from harness.commands.resources import alive_together
from harness.environments.machine import default_threads
from harness.errors import UsageError
from harness.execution.planning import (
    Choice,
    LeftOut,
    chosen_implementations,
    chosen_modes,
    chosen_recipes,
    groups_of,
    looks_of,
    without_input,
)
from harness.spec.cells import Cell
from harness.spec.manifest import Group
from harness.spec.recipes import Recipe
from harness.spec.selection import Selection
from harness.spec.suites import Suite


class Sketch(NamedTuple):
    """A run whose environments and data are still to be found."""

    device: str
    threads: tuple[int, ...]
    choices: list[Choice]
    recipes: list[Recipe]
    """On the dataset that was asked for."""
    modes: dict[str, list[str]]
    """Framework → modes to measure."""
    looks: tuple[int, ...]
    aa: bool
    together: bool
    """Whether contenders of a block will be alive together; a proof's worker is alone."""
    left_out: list[LeftOut]
    cells: list[Cell]
    """As far as they are known: without the versions that are installed."""
    groups: list[Group]


def sketch_run(
    catalogue: Catalogue,
    suite: Suite,
    selection: Selection,
    pairs: Sequence[Choice] | None = None,
) -> Sketch:
    """What ``selection`` and ``suite`` ask for together; see ``plan_run`` for the arguments.

    Raises:
        LevelfieldError: something that was asked for does not exist, or the device is taken.
    """
    device = selection.device or suite.device
    if pairs is None:
        choices = chosen_implementations(suite, selection, catalogue.implementations)
    else:
        choices = list(pairs)
    recipes = chosen_recipes(suite, selection, catalogue.recipes)
    chosen = [choice.implementation for choice in choices]
    modes, left_out = chosen_modes(suite, selection, chosen, device)
    left_out += without_input(selection, chosen)
    looks = looks_of(suite, selection)
    choices = [choice for choice in choices if modes[choice.implementation.name]]
    aa = suite.aa if selection.aa is None else selection.aa
    together = suite.long_trials or any(looks)
    choices, unfit = fit_for_device(choices, device)
    left_out += unfit
    threads = _threads(selection)
    cells = cells_before_installation(choices, recipes, modes, selection, device, threads)
    groups = groups_of(cells, None, paired=pairs is not None)
    check_device_free(catalogue, alive_together(groups, cells, together), aa=aa and together)
    return Sketch(
        device,
        threads,
        choices,
        recipes,
        modes,
        looks,
        aa,
        together,
        left_out,
        cells,
        groups,
    )


def _threads(selection: Selection) -> tuple[int, ...]:
    """Numbers of threads of a worker, each to be measured.

    Raises:
        UsageError: there are not so many CPUs: threads would wait for each other, and a thousand
            for the machine.
    """
    most = default_threads()
    asked = max(selection.threads, default=most)
    if asked > most:
        raise UsageError(
            f"--threads is {asked}, expected at most {most}, the CPUs that this "
            "process may use: name fewer"
        )
    return selection.threads or (most,)
