"""What contenders took of a GPU, against figures that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from harness.analysis.gpus import GpuUse, Range, gpu_uses
from harness.analysis.observations import Observations
from harness.analysis.samples import Contender as Member
from harness.analysis.trials import finished_blocks
from harness.analysis.verdicts import judge
from harness.spec.events import GpuReading, TrialFinished, TrialStarted, Window
from harness.spec.manifest import Run

from .runs import Contender, noise, on_gpu, speed_run

A, B = Contender("alpha"), Contender("beta")
READING = GpuReading(
    sm_clock_mhz=1400, power_watts=150.0, interval_seconds=2.0, energy_joules=281.6
)
"""5,632 examples are trained in a window of such runs, lead-in included: 50 J for 1,000."""


def slow(seconds: float, blocks: int = 3) -> Run:
    """Both contenders' windows take so long; 5,120 examples are timed in each."""
    shift = float(np.log(0.512 / seconds))
    logs = {each: noise(1, blocks, 2, 0.0, shift=shift) for each in (A, B)}
    return on_gpu(speed_run(logs), READING)


def changed(run: Run, framework: str, kind: type, **fields: Any) -> Run:
    """``run`` with events of one framework's trials changed; callables get the event."""
    trials = {
        event.trial
        for event in run.events
        if isinstance(event, TrialStarted) and f"/{framework}-" in event.cell
    }
    events = [
        msgspec.structs.replace(
            event,
            **{name: value(event) if callable(value) else value for name, value in fields.items()},
        )
        if isinstance(event, kind) and event.trial in trials
        else event
        for event in run.events
    ]
    return Run(manifest=run.manifest, events=events)


def uses(run: Run) -> list[GpuUse]:
    [group] = run.manifest.plan.groups
    return gpu_uses(group, finished_blocks(run.events, long=False))


def reading(run: Run, framework: str, **fields: Any) -> Run:
    return changed(
        run, framework, Window, gpu=lambda event: msgspec.structs.replace(event.gpu, **fields)
    )


def test_made_up_runs_on_a_gpu_are_judged_like_others() -> None:
    run = slow(1.2)
    assert run.manifest.cells[0].id == "lenet-sgd/alpha-1.0/eager/resident/gpu-2t"
    assert {verdict.status for verdict in judge(Observations(run)).verdicts} == {"indicative"}


def test_energy_is_all_joules_for_all_examples_and_blocks_are_the_unit() -> None:
    alpha, beta = uses(reading(slow(1.6), "beta", energy_joules=563.2))
    assert alpha.contender == Member(slow(1.6).manifest.cells[0].id)
    assert alpha.energy is not None
    assert beta.energy is not None
    assert alpha.energy.joules_per_1000_examples.ratio == pytest.approx(50)
    assert beta.energy.joules_per_1000_examples.ratio == pytest.approx(100)
    assert alpha.energy.joules_per_1000_examples.n == 3
    # 1.6 s of the 2 s between question and answer.
    assert alpha.energy.timed_share == pytest.approx(0.8)


def test_blocks_that_differ_give_an_interval() -> None:
    def by_block(event: Window) -> GpuReading:
        assert event.gpu is not None
        return msgspec.structs.replace(event.gpu, energy_joules=281.6 * (1 + event.trial // 2))

    [alpha, _] = uses(changed(slow(1.6), "alpha", Window, gpu=by_block))
    assert alpha.energy is not None
    # 50, 100 and 150 J for 1,000 examples: their geometric mean.
    found = alpha.energy.joules_per_1000_examples
    assert found.ratio == pytest.approx((50 * 100 * 150) ** (1 / 3))
    interval = found.ratio_interval(0.95)
    assert interval is not None
    assert interval.low < 50 < 150 < interval.high


@pytest.mark.parametrize(
    "fields", [{"energy_joules": None}, {"energy_joules": 0.0}, {"interval_seconds": None}]
)
def test_energy_that_was_not_counted_is_not_made_up(fields: dict[str, Any]) -> None:
    alpha, beta = uses(reading(slow(1.6), "alpha", **fields))
    assert alpha.energy is None
    assert beta.energy is not None


def test_windows_below_a_second_say_nothing_of_energy() -> None:
    assert [use.energy for use in uses(slow(0.9))] == [None, None]
    assert all(use.energy for use in uses(slow(1.01)))
    assert uses(slow(0.9))[0].window_seconds == pytest.approx(0.9)


def test_ranges_memory_and_reasons_are_taken_over_all_trials() -> None:
    run = reading(slow(1.6), "beta", throttle_reasons=("sw_power_cap", "hw_slowdown"))

    def clock(event: Window) -> GpuReading:
        assert event.gpu is not None
        return msgspec.structs.replace(event.gpu, sm_clock_mhz=1000 + 100 * event.trial)

    run = changed(run, "alpha", Window, gpu=clock)
    run = changed(
        run,
        "alpha",
        TrialFinished,
        peak_device_memory_bytes=lambda event: 10 * (event.trial + 1),
        held_device_memory_bytes=lambda event: 90 if event.trial else None,
    )
    alpha, beta = uses(run)
    # Trials 0, 2 and 4, of two windows each.
    assert alpha.sm_clock_mhz == Range(1000, 1200, 1400)
    assert alpha.power_watts == Range(150, 150, 150)
    assert alpha.temperature_celsius is None
    assert (alpha.peak_memory_bytes, alpha.held_memory_bytes) == (50, 90)
    assert (beta.peak_memory_bytes, beta.held_memory_bytes) == (None, None)
    assert (alpha.throttled, alpha.reasons) == (0, {})
    assert (beta.throttled, beta.windows) == (6, 6)
    assert beta.reasons == {"sw_power_cap": 6, "hw_slowdown": 6}
    assert alpha.devices == ("gpu:0",)
