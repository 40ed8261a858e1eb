from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from harness.analysis.flags import rules_applied, window_flags
from harness.analysis.observations import Observations
from harness.analysis.trials import finished_blocks
from harness.analysis.verdicts import judge
from harness.spec.events import GpuReading, Window
from harness.spec.manifest import Run

from .golden import TWIN, A, B
from .runs import Contender, Logs, cell, noise, on_gpu, speed_run


def steady() -> dict[Contender, Logs]:
    return {each: noise(seed, 5, 5, 0.01) for seed, each in enumerate((A, TWIN, B))}


def test_restless_blocks_are_shown_and_kept() -> None:
    quiet, restless = speed_run(steady()), speed_run(steady(), restless=[1])
    flags = judge(Observations(restless)).block_flags
    assert [(each.block, each.kind) for each in flags] == [(1, "steal"), (1, "control")]
    assert [each.value for each in flags] == pytest.approx([0.05, 0.5])
    assert judge(Observations(restless)).verdicts == judge(Observations(quiet)).verdicts
    assert judge(Observations(quiet)).block_flags == ()


def flagged(run: Run) -> dict[tuple[int, int], tuple[str, ...]]:
    cells = run.manifest.cells
    return window_flags(finished_blocks(run.events, long=False), run.manifest.machine.cores, cells)


def test_windows_are_flagged_one_by_one() -> None:
    assert flagged(speed_run(steady())) == {}
    restless = flagged(speed_run(steady(), restless=[1]))
    # Three contenders with five rounds each.
    assert len(restless) == 15
    assert set(restless.values()) == {("steal", "control")}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"cpu_seconds": 100.0}, "threads"),
        ({"major_faults": 1}, "disk"),
        ({"gpu": GpuReading(throttle_reasons=("sw_power_cap", "hw_slowdown"))}, "throttled"),
        ({"gpu": GpuReading(throttle_reasons=("sw_thermal_slowdown",))}, "throttled"),
        ({"gpu": GpuReading(throttle_reasons=("hw_thermal_slowdown",))}, "throttled"),
        ({"gpu": GpuReading(throttle_reasons=("hw_power_brake_slowdown",))}, "throttled"),
    ],
)
def test_a_single_window_may_be_flagged(change: dict[str, Any], rule: str) -> None:
    run = speed_run(steady())
    place = next(i for i, event in enumerate(run.events) if isinstance(event, Window))
    events = list(run.events)
    events[place] = msgspec.structs.replace(events[place], **change)
    found = flagged(Run(manifest=run.manifest, events=events))
    assert found == {(events[place].trial, events[place].round): (rule,)}


@pytest.mark.parametrize(
    "reason",
    [
        "gpu_idle",
        "applications_clocks_setting",
        "sw_power_cap",
        "sync_boost",
        "display_clock_setting",
    ],
)
def test_a_gpu_that_works_as_it_is_set_is_not_throttled(reason: str) -> None:
    assert flagged(on_gpu(speed_run(steady()), GpuReading(throttle_reasons=(reason,)))) == {}


def test_some_rules_apply_only_where_their_reading_was_had() -> None:
    run = speed_run(steady())
    assert rules_applied(finished_blocks(run.events, long=False)) == (
        "steal",
        "control",
        "threads",
        "disk",
    )
    read = on_gpu(run, GpuReading())
    assert rules_applied(finished_blocks(read.events, long=False))[-1] == "throttled"


def test_stalls_are_flagged_where_they_are() -> None:
    logs = steady()
    logs[B][:, 0] -= np.log(3)
    judgement = judge(Observations(speed_run(logs)))
    (flag,) = judgement.contender_flags
    assert (flag.kind, flag.cell) == ("periodic_stalls", cell("beta").id)
    # Five windows in the time of seven.
    assert flag.value == pytest.approx(0.4, abs=0.01)
    assert judgement.verdicts[0].stalling == cell("beta").id


@pytest.mark.parametrize(
    ("change", "kind", "value"),
    [
        ({"waiting_cpu_seconds": 0.5}, "busy_while_waiting", 0.5),
        ({"cpu_seconds": 100.0}, "more_threads_than_set", None),
    ],
)
def test_contenders_that_disturb_others_are_flagged(
    change: dict[str, float], kind: str, value: float | None
) -> None:
    run = speed_run(steady())
    events = [
        msgspec.structs.replace(event, **change)
        if isinstance(event, Window) and event.trial % 3 == 2
        else event
        for event in run.events
    ]
    (flag,) = judge(Observations(Run(manifest=run.manifest, events=events))).contender_flags
    assert (flag.kind, flag.cell, flag.twin) == (kind, cell("beta").id, False)
    assert value is None or flag.value == pytest.approx(value)
