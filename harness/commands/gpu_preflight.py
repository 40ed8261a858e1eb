"""Whether a run can be made on a GPU: asked before anything is downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.commands.catalogue import Catalogue
from harness.environments.gpus import read_gpus
from harness.environments.memory import memory_beyond_lenet_mib
from harness.environments.variables import visible_gpu
from harness.execution.planning import Choice, Installed, LeftOut, cells_of
from harness.execution.preflight import (
    check_gpu_memory,
    check_idle,
    chosen_gpu,
    doubts,
    fit_choices,
)
from harness.spec.cells import Cell
from harness.spec.recipes import Recipe
from harness.spec.selection import Selection


def fit_for_device(choices: Sequence[Choice], device: str) -> tuple[list[Choice], list[LeftOut]]:
    """Those of ``choices`` that can run on ``device``, and why the others can't.

    On a CPU that is all of them, and no GPU is asked anything.

    Raises:
        UsageError: ``CUDA_VISIBLE_DEVICES`` doesn't show the device.
        WorkplaceError: there is no such GPU, or too few can run on it.
    """
    if device == "cpu":
        return list(choices), []
    name = visible_gpu(device)
    gpus = read_gpus()
    gpu = chosen_gpu(gpus, device, name)
    return fit_choices(choices, gpus, gpu)


def doubts_on_device(choices: Sequence[Choice], device: str) -> list[str]:
    """Why some that were given may not run on ``device``, if what holds for our own holds for them.

    Raises:
        UsageError: ``CUDA_VISIBLE_DEVICES`` doesn't show the device.
        WorkplaceError: there is no such GPU.
    """
    if device == "cpu" or not any(choice.interpreter for choice in choices):
        return []
    gpus = read_gpus()
    return doubts(choices, gpus, chosen_gpu(gpus, device, visible_gpu(device)))


def check_device_free(catalogue: Catalogue, alive: Sequence[Sequence[Cell]], *, aa: bool) -> None:
    """Nobody else uses the cells' GPU, and their workers fit on it; on a CPU nothing is asked.

    Args:
        catalogue: Where models and limits stand.
        alive: Cells whose workers are alive side by side, for each time that some are.
        aa: Whether one of them runs twice.

    Raises:
        WorkplaceError: somebody does, or they don't.
    """
    device = alive[0][0].device
    if device == "cpu":
        return
    gpu = chosen_gpu(read_gpus(), device, visible_gpu(device))
    check_idle(gpu)
    for cells in alive:
        needs = [_gpu_memory_mib(cell, catalogue) for cell in cells]
        # Which one runs twice may not be settled yet: the largest, to be safe.
        check_gpu_memory(gpu, needs + [max(needs)] * aa)


def cells_before_installation(
    choices: Iterable[Choice],
    recipes: Iterable[Recipe],
    modes: Mapping[str, list[str]],
    selection: Selection,
    device: str,
    threads: Sequence[int],
) -> list[Cell]:
    """The cells that there will be, as far as they are known without environments."""
    installed = [
        Installed(choice, choice.version or "", choice.implementation.variant) for choice in choices
    ]
    return cells_of(recipes, installed, modes, selection, device, threads)


def _gpu_memory_mib(cell: Cell, catalogue: Catalogue) -> int:
    limits = catalogue.implementation(cell.framework, cell.variant).gpu
    model = catalogue.models[cell.recipe.model]
    return (limits.memory_mib if limits else 0) + memory_beyond_lenet_mib(
        model, cell.recipe.batch_size
    )
