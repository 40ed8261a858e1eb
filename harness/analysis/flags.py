"""What a reader should know before the verdicts: restless blocks and odd contenders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.analysis.foreign import (
    FOREIGN_LIMIT,
    LEAST_SECONDS,
    taken_by_block,
    taken_cpus,
    wanted_cpus,
)
from harness.analysis.judgement import BlockFlag, ContenderFlag, Rate
from harness.analysis.samples import Contender, Sample, log_rates, stall_factor
from harness.analysis.trials import Block
from harness.spec.cells import Cell
from harness.spec.events import Window

STEAL_LIMIT = 0.02
CONTROL_LIMIT = 0.10
STALL_LIMIT = 0.10
WAITING_CPU_LIMIT = 0.02
THREADS_LIMIT = 0.10


THROTTLING = {
    "hw_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sw_thermal_slowdown",
}
"""NVML's reasons for low clocks that mean trouble: heat, or a power supply that can't keep up. They
come and go with the room and with what ran before, so that they hit one contender and not another.

The others don't flag a window. ``gpu_idle`` says that nothing ran when the driver looked;
``applications_clocks_setting``, ``display_clock_setting`` and ``sync_boost`` are somebody's
settings, the same for all contenders; ``sw_power_cap`` is how a GPU at full load works: one that
draws more power for the same work gets lower clocks, and that is part of its speed.
https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
"""

WindowRule = Literal["steal", "foreign", "control", "threads", "disk", "throttled"]

WINDOW_RULES: dict[WindowRule, str] = {
    "steal": f"the hypervisor gave more than {STEAL_LIMIT * 100:.0f} % of the CPUs' time to others",
    "foreign": "others, the hypervisor's among them, took more than "
    f"{FOREIGN_LIMIT * 100:.0f} % of a CPU from its threads",
    "control": f"the control kernel was more than {CONTROL_LIMIT * 100:.0f} % off the run's median",
    "threads": f"CPU time ÷ wall time was more than {THREADS_LIMIT * 100:.0f} % above the threads "
    "that were set",
    "disk": "a page had to be read from the disk (a major fault)",
    "throttled": "heat or its power supply held the GPU's clocks down",
}
"""Rule → when it flags a window, as a clause."""


def rules_applied(blocks: Sequence[Block]) -> tuple[WindowRule, ...]:
    """The rules that could flag a window of ``blocks``: some only where their reading was had."""
    windows = [window for block in blocks for trial in block.trials for window in trial.windows]
    unread = {
        "throttled": all(window.gpu is None for window in windows),
        "foreign": all(window.idle_seconds is None for window in windows),
    }
    return tuple(rule for rule in WINDOW_RULES if not unread.get(rule))


def window_flags(
    blocks: Sequence[Block], cores: int, cells: Sequence[Cell]
) -> dict[tuple[int, int], tuple[WindowRule, ...]]:
    """(Trial, round) → the rules that flag that window; windows at rest are left out."""
    threads = {cell.id: cell.threads + cell.loader_workers for cell in cells}
    wanted = wanted_cpus(cells, cores)
    windows = [window for block in blocks for trial in block.trials for window in trial.windows]
    usual = median(window.control_seconds for window in windows) if windows else 0.0
    found = {}
    for block in blocks:
        for trial in block.trials:
            allowed = threads.get(trial.started.cell, cores) * (1 + THREADS_LIMIT)
            for window in trial.windows:
                rules: dict[WindowRule, bool] = {
                    "steal": window.steal_seconds > STEAL_LIMIT * cores * window.wall_seconds,
                    "foreign": _is_disturbed(window, wanted.get(trial.started.cell)),
                    "control": abs(window.control_seconds - usual) > CONTROL_LIMIT * usual,
                    "threads": window.cpu_seconds > allowed * window.wall_seconds,
                    "disk": window.major_faults > 0,
                    "throttled": is_throttled(window),
                }
                broken = tuple(rule for rule, holds in rules.items() if holds)
                if broken:
                    found[window.trial, window.round] = broken
    return found


def _is_disturbed(window: Window, wanted: float | None) -> bool:
    if wanted is None or window.wall_seconds < LEAST_SECONDS:
        return False
    return (taken_cpus(window, wanted) or 0.0) > FOREIGN_LIMIT


def is_throttled(window: Window) -> bool:
    """Whether the GPU's clocks were held down by what ``THROTTLING`` lists."""
    return window.gpu is not None and not THROTTLING.isdisjoint(window.gpu.throttle_reasons)


def block_flags(blocks: Sequence[Block], cores: int) -> Iterator[BlockFlag]:
    """Blocks with steal above 2 %, or with a control kernel more than 10 % off the run's median.

    Flagged blocks are shown and they count. Interleaving gives every contender its share of the
    unrest; dropping blocks by a limit chosen before would be honest too, but it would thin out
    runs on busy machines below the planned looks, and limits that can be argued over after the
    results are known invite it. A block is never dropped in part.
    """
    control = {
        (block.group, block.block): median(seconds)
        for block in blocks
        if (seconds := [w.control_seconds for trial in block.trials for w in trial.windows])
    }
    usual = median(control.values()) if control else 0.0
    for block in blocks:
        windows = [window for trial in block.trials for window in trial.windows]
        if not windows:
            continue
        time = sum(window.wall_seconds for window in windows) * cores
        steal = sum(window.steal_seconds for window in windows) / time if time > 0 else 0.0
        if steal > STEAL_LIMIT:
            yield BlockFlag(
                group=block.group, block=block.block, kind="steal", value=steal, limit=STEAL_LIMIT
            )
        off = control[block.group, block.block] / usual - 1 if usual > 0 else 0.0
        if abs(off) > CONTROL_LIMIT:
            yield BlockFlag(
                group=block.group, block=block.block, kind="control", value=off, limit=CONTROL_LIMIT
            )


def foreign_flags(samples: Sequence[Sample], wanted: Mapping[str, float]) -> Iterator[BlockFlag]:
    """Blocks in which others took more than a tenth of a CPU from the threads of a contender."""
    for of in samples:
        taken = np.array([taken_by_block(of, each, wanted) for each in of.contenders])
        for block, values in zip(of.blocks, taken.T, strict=True):
            worst = max((float(each) for each in values if not np.isnan(each)), default=0.0)
            if worst > FOREIGN_LIMIT:
                yield BlockFlag(
                    group=of.group, block=block, kind="foreign", value=worst, limit=FOREIGN_LIMIT
                )


def contender_flags(
    samples: Sequence[Sample], rates: Sequence[Rate], cells: Sequence[Cell]
) -> Iterator[ContenderFlag]:
    """Contenders that stall, that work while they wait, or that use more threads than they may."""
    for sample in samples:
        yield from _stalls(sample)
    # The workers of a loader compute beside the threads that train.
    threads = {cell.id: cell.threads + cell.loader_workers for cell in cells}
    for rate in rates:
        if rate.waiting_cpu_share > WAITING_CPU_LIMIT:
            yield ContenderFlag(
                group=rate.group,
                cell=rate.cell,
                twin=rate.twin,
                kind="busy_while_waiting",
                value=rate.waiting_cpu_share,
                limit=WAITING_CPU_LIMIT,
            )
        excess = rate.effective_threads / (threads.get(rate.cell) or np.inf) - 1
        if excess > THREADS_LIMIT:
            yield ContenderFlag(
                group=rate.group,
                cell=rate.cell,
                twin=rate.twin,
                kind="more_threads_than_set",
                value=excess,
                limit=THREADS_LIMIT,
            )


def stalling(
    sample: Sample, contender: Contender, against: Contender, rows: NDArray[np.bool_]
) -> str | None:
    """The one of the two whose typical rate and rate by total time differ by more than 10 %.

    Over ``rows``, a mask of the blocks that have both. Nothing where both or neither do: what
    slows everybody is the machine, not a contender.
    """
    stalls = [
        each.cell
        for each in (contender, against)
        if abs(stall_factor(sample, each, rows) - 1) > STALL_LIMIT
    ]
    return stalls[0] if len(stalls) == 1 else None


def _stalls(sample: Sample) -> Iterator[ContenderFlag]:
    """Contenders that stall while another one of the group does not."""
    factors = {}
    for contender in sample.contenders:
        rows = ~np.isnan(log_rates(sample, contender))
        if rows.any():
            factors[contender] = stall_factor(sample, contender, rows) - 1
    if all(abs(value) > STALL_LIMIT for value in factors.values()):
        return
    for contender, value in factors.items():
        if abs(value) > STALL_LIMIT:
            yield ContenderFlag(
                group=sample.group,
                cell=contender.cell,
                twin=contender.twin,
                kind="periodic_stalls",
                value=value,
                limit=STALL_LIMIT,
            )
