"""What reading the data costs: the same contender with its batches laid ready, and with its loader.

A loader brings its own order, so its accuracies prove nothing here and its cells stand in groups of
their own; only the rates are put side by side, each contender's with its own. The two were measured
in blocks of their own, so the interval of their ratio is Welch's (1947), over blocks, of the
difference of log rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import msgspec

from harness.analysis.estimate import Estimate, Interval, difference
from harness.analysis.observations import Observations
from harness.analysis.samples import mean_log_rates
from harness.analysis.trials import Block
from harness.spec.cells import Cell, Input

CONFIDENCE = 0.95


class InputCost(msgspec.Struct, frozen=True, kw_only=True):
    """One contender, with its batches resident on the device and with its own loader."""

    recipe: str
    """Its label."""
    resident_group: str
    resident_cell: str
    loader_group: str
    loader_cell: str
    input: Input
    """How that loader was written: ``loader`` or ``pipeline``."""
    loader_workers: int
    resident_examples_per_second: float
    loader_examples_per_second: float
    resident_blocks: int
    loader_blocks: int
    share_of_time: float
    """1 − loader rate ÷ resident rate: the share of a loader's time that its input costs, a
    fraction. Negative where the loader is the faster one: it prepares batches while others are
    trained on, and resident ones may suit the caches worse."""
    interval: Interval | None
    """Of ``share_of_time``, 95 %; nothing below 2 blocks of either."""
    resident_stage_seconds: float
    """Seconds of staging before a window, which is what resident input takes outside of the clock:
    the median of all."""
    resident_train_seconds: float
    """Seconds of the steps that were staged: lead-in, window and partial batch, the median of
    all."""


def input_costs(run: Observations) -> tuple[InputCost, ...]:
    """One for each contender and loader that was measured beside the same with resident input.

    The same means recipe, framework, version, mode, settings, device and threads.
    """
    means = mean_log_rates(run.samples.values())
    placed = [
        (run.cells[name], group.name)
        for group in run.manifest.plan.groups
        for name in group.cells
        if name in run.cells and name in means
    ]
    resident = {_sameness(cell): (cell, group) for cell, group in placed if not cell.loads}
    return tuple(
        _input_cost(*resident[_sameness(cell)], cell, group, means, run.short_blocks)
        for cell, group in placed
        if cell.loads and _sameness(cell) in resident
    )


def share_interval(resident: Estimate, loader: Estimate) -> Interval | None:
    """Of 1 − exp(mean ``loader`` − mean ``resident``), log rates by block; nothing below 2 each."""
    slower = difference(loader, resident)
    interval = slower and slower.ratio_interval(CONFIDENCE)
    if interval is None:
        return None
    return Interval(low=1 - interval.high, high=1 - interval.low, confidence=CONFIDENCE)


def _sameness(cell: Cell) -> tuple[str, str, str, int]:
    """What a resident cell and one with a loader have in common where they are compared."""
    return cell.recipe.label, cell.contender, cell.device, cell.threads


def _input_cost(
    resident: Cell,
    resident_group: str,
    loader: Cell,
    loader_group: str,
    means: Mapping[str, Estimate],
    blocks: Sequence[Block],
) -> InputCost:
    of_resident, of_loader = means[resident.id], means[loader.id]
    times = [*_stage_and_train_seconds(resident.id, blocks)]
    return InputCost(
        recipe=resident.recipe.label,
        resident_group=resident_group,
        resident_cell=resident.id,
        loader_group=loader_group,
        loader_cell=loader.id,
        input=loader.input,
        loader_workers=loader.loader_workers,
        resident_examples_per_second=of_resident.ratio,
        loader_examples_per_second=of_loader.ratio,
        resident_blocks=of_resident.n,
        loader_blocks=of_loader.n,
        share_of_time=1 - math.exp(of_loader.mean - of_resident.mean),
        interval=share_interval(of_resident, of_loader),
        resident_stage_seconds=median(stage for stage, _ in times),
        resident_train_seconds=median(train for _, train in times),
    )


def _stage_and_train_seconds(cell: str, blocks: Sequence[Block]) -> Iterator[tuple[float, float]]:
    for block in blocks:
        for trial in block.trials:
            if trial.started.cell == cell:
                for each in trial.windows:
                    yield (
                        each.stage_seconds,
                        each.lead_in_seconds + each.wall_seconds + each.partial_seconds,
                    )
