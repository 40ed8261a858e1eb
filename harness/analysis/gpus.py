"""What contenders took of a GPU: memory, clocks, heat, power, and energy for what they trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.estimate import Estimate
from harness.analysis.flags import is_throttled
from harness.analysis.samples import Contender, mean_log
from harness.analysis.trials import Block, Trial
from harness.spec.events import GpuModel, Window
from harness.spec.manifest import Group

LEAST_ENERGY_SECONDS = 1.0
"""Shorter windows say nothing of energy: NVML's counter moves only now and then."""


class Range(NamedTuple):
    """Lowest, middle and highest of what was read."""

    low: float
    median: float
    high: float


class Energy(NamedTuple):
    """Of the whole board for what a contender trained, staging and lead-in with it."""

    joules_per_1000_examples: Estimate
    """Over blocks; each block's is all joules ÷ all examples of its windows."""
    timed_share: float
    """Share of the seconds, over which the energy was counted, that lay within windows."""


class GpuUse(NamedTuple):
    """One contender's; what nobody has read is None."""

    contender: Contender
    trials: int
    windows: int
    models: tuple[GpuModel, ...]
    devices: tuple[str, ...]
    """Where its weights and its results were, as the framework said."""
    peak_memory_bytes: int | None
    """The largest that the framework counted itself."""
    held_memory_bytes: int | None
    """The largest that the driver saw in a worker's hands at its end."""
    sm_clock_mhz: Range | None
    memory_clock_mhz: Range | None
    temperature_celsius: Range | None
    power_watts: Range | None
    utilization: Range | None
    throttled: int
    """Windows whose clocks were held down, see ``flags.THROTTLING``."""
    reasons: dict[str, int]
    """Any reason for clocks below the highest → in how many windows it was read."""
    energy: Energy | None
    window_seconds: float
    """Median of the timed windows, which decides whether there is an energy."""


def gpu_uses(group: Group, blocks: Sequence[Block]) -> list[GpuUse]:
    """One for each contender of ``group`` with a trial in ``blocks``."""
    own = [block for block in blocks if block.group == group.name]
    found: dict[Contender, list[Trial]] = {}
    for block in own:
        for trial in block.trials:
            contender = Contender(trial.started.cell, trial.started.twin)
            found.setdefault(contender, []).append(trial)
    return [_use(contender, trials) for contender, trials in found.items()]


def _use(contender: Contender, trials: Sequence[Trial]) -> GpuUse:
    windows = [window for trial in trials for window in trial.windows]
    readings = [window.gpu for window in windows if window.gpu is not None]
    ends = [trial.finished for trial in trials]
    reasons = [reason for reading in readings for reason in reading.throttle_reasons]
    places = (place for end in ends for place in (end.device, end.result_device) if place)
    return GpuUse(
        contender=contender,
        trials=len(trials),
        windows=len(windows),
        models=tuple(dict.fromkeys(end.gpu for end in ends if end.gpu is not None)),
        devices=tuple(dict.fromkeys(places)),
        peak_memory_bytes=max(_known(end.peak_device_memory_bytes for end in ends), default=None),
        held_memory_bytes=max(_known(end.held_device_memory_bytes for end in ends), default=None),
        sm_clock_mhz=_range(reading.sm_clock_mhz for reading in readings),
        memory_clock_mhz=_range(reading.memory_clock_mhz for reading in readings),
        temperature_celsius=_range(reading.temperature_celsius for reading in readings),
        power_watts=_range(reading.power_watts for reading in readings),
        utilization=_range(reading.utilization for reading in readings),
        throttled=sum(map(is_throttled, windows)),
        reasons={reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
        energy=_energy(trials),
        window_seconds=float(np.median([each.wall_seconds for each in windows] or [0.0])),
    )


def _energy(trials: Sequence[Trial]) -> Energy | None:
    """Nothing where no window was long enough, or no counter was read."""
    by_trial = [[window for window in trial.windows if _tells_energy(window)] for trial in trials]
    used = [window for windows in by_trial for window in windows]
    joules = [_sums(windows) for windows in by_trial if windows]
    found = mean_log(np.log([energy / examples * 1000 for energy, examples, _ in joules]))
    if found is None:
        return None
    timed = sum(window.wall_seconds for window in used)
    return Energy(found, timed / sum(interval for _, _, interval in joules))


def _tells_energy(window: Window) -> bool:
    reading = window.gpu
    return (
        window.wall_seconds >= LEAST_ENERGY_SECONDS
        and window.trained_examples > 0
        and reading is not None
        and (reading.energy_joules or 0) > 0
        and (reading.interval_seconds or 0) > 0
    )


def _sums(windows: Iterable[Window]) -> tuple[float, int, float]:
    """Joules, examples and seconds of windows that tell all three."""
    energy = examples = interval = 0.0
    for window in windows:
        if window.gpu is not None:
            energy += window.gpu.energy_joules or 0
            interval += window.gpu.interval_seconds or 0
            examples += window.trained_examples
    return energy, int(examples), interval


def _known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _range(values: Iterable[float | None]) -> Range | None:
    known = [value for value in values if value is not None]
    return Range(min(known), float(np.median(known)), max(known)) if known else None
