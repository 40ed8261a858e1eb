"""Rates beside the machine's own, from whole events and from those that hold speed alone."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from harness.analysis.controlled import controlled_rates
from harness.analysis.samples import rates, sample_of
from harness.analysis.trials import finished_blocks
from harness.spec.events import Window
from harness.spec.manifest import Run
from harness.spec.speed_events import SpeedEvent, speed_decoder

from .golden import SCENARIOS, stored_run
from .runs import Contender, cell, noise, speed_run


def with_control(run: Run, seconds: dict[int, float]) -> Run:
    """Round → what the control took in every block."""
    events = [
        msgspec.structs.replace(event, control_seconds=seconds[event.round])
        if isinstance(event, Window)
        else event
        for event in run.events
    ]
    return Run(manifest=run.manifest, events=events)


def lean(run: Run) -> list[SpeedEvent]:
    return speed_decoder().decode_lines(
        b"\n".join(msgspec.json.encode(event) for event in run.events)
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_rates_are_those_of_the_estimates(name):
    run = stored_run(name)
    blocks = finished_blocks(run.events, long=False)
    expected = {
        rate.cell: (rate.blocks, rate.examples_per_second)
        for group in run.manifest.plan.groups
        for rate in rates(sample_of(group, blocks))
        if not rate.twin
    }
    found = controlled_rates(run.events)
    assert {cell: rate.blocks for cell, rate in found.items()} == {
        cell: blocks for cell, (blocks, _) in expected.items()
    }
    for name, rate in found.items():
        assert rate.examples_per_second == pytest.approx(expected[name][1], rel=1e-12)


@pytest.mark.parametrize("name", SCENARIOS)
def test_events_that_hold_speed_alone_give_the_same(name):
    run = stored_run(name)
    assert controlled_rates(lean(run)) == controlled_rates(run.events)


def test_what_slows_the_control_alike_cancels():
    logs = noise(1, 5, 3, 0.01)
    usual = speed_run({Contender("alpha"): logs})
    slow = speed_run({Contender("alpha"): logs - 0.3})
    at_rest = controlled_rates(with_control(usual, dict.fromkeys(range(3), 0.02)).events)
    busy = controlled_rates(
        with_control(slow, dict.fromkeys(range(3), 0.02 * math.exp(0.3))).events
    )
    [one], [other] = at_rest.values(), busy.values()
    assert one.log_rate - other.log_rate == pytest.approx(0.3)
    assert one.normalised == pytest.approx(other.normalised, abs=1e-8)


def test_the_control_is_the_median_of_the_block():
    run = speed_run({Contender("alpha"): noise(1, 5, 3, 0.0)})
    found = controlled_rates(with_control(run, {0: 0.02, 1: 0.03, 2: 5.0}).events)
    assert found[cell("alpha").id].control_seconds == pytest.approx(0.03)


def test_blocks_without_a_control_do_not_count():
    run = speed_run({Contender("alpha"): noise(1, 5, 3, 0.0)})
    assert controlled_rates(with_control(run, dict.fromkeys(range(3), 0.0)).events) == {}


def test_impossible_windows_do_not_count():
    run = speed_run({Contender("alpha"): noise(1, 5, 3, 0.01)})
    broken = [
        msgspec.structs.replace(event, wall_seconds=0.0)
        if isinstance(event, Window) and event.round == 1
        else event
        for event in run.events
    ]
    [rate] = controlled_rates(broken).values()
    medians = np.median(np.exp(noise(1, 5, 3, 0.01)[:, [0, 2]]), axis=1)
    assert rate.log_rate == pytest.approx(math.log(10_000) + np.log(medians).mean(), abs=1e-6)
