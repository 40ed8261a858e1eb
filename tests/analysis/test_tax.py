from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from harness.analysis.observations import Observations
from harness.analysis.tax import taxes
from harness.spec.cells import HANDWRITTEN
from harness.spec.events import TrialStarted, Window
from harness.spec.manifest import Group, Run
from harness.spec.proof_events import Parity

from .runs import Contender, noise, speed_run


def tax_run(ratio: float, blocks: int = 10, sd: float = 0.002, **how: Any) -> Run:
    """An adapter that is ``ratio`` times as fast as the loop written by hand, which runs twice."""
    made = speed_run(
        {
            Contender("script"): noise(1, blocks, 3, sd),
            Contender("adapter"): noise(2, blocks, 3, sd, shift=math.log(ratio)),
            Contender("script", twin=True): noise(3, blocks, 3, sd),
        },
        **how,
    )
    script, adapter = made.manifest.cells
    by_hand = msgspec.structs.replace(adapter, variant=HANDWRITTEN)

    def named(cell: str) -> str:
        return by_hand.id if cell == script.id else cell

    [group] = made.manifest.plan.groups
    plan = msgspec.structs.replace(
        made.manifest.plan, groups=(Group(name=group.name, cells=(by_hand.id, adapter.id)),)
    )
    return Run(
        manifest=msgspec.structs.replace(made.manifest, cells=(by_hand, adapter), plan=plan),
        events=[
            msgspec.structs.replace(event, cell=named(event.cell))
            if isinstance(event, (TrialStarted, Parity))
            else event
            for event in made.events
        ],
    )


def test_the_ratio_is_the_adapters_rate_by_that_of_the_loop_written_by_hand():
    [tax] = taxes(Observations(tax_run(0.9)))
    assert tax.times_handwritten_rate == pytest.approx(0.9, rel=0.005)
    assert tax.interval is not None
    assert tax.interval.low < tax.times_handwritten_rate < tax.interval.high
    assert tax.interval.confidence == 0.95
    assert tax.noise_floor is not None
    assert tax.noise_floor.low < 1 < tax.noise_floor.high
    assert (tax.framework, tax.batch_size, tax.blocks) == ("adapter", 256, 10)
    assert (tax.goal, tax.outcome) == (0.99, "missed")


def test_where_the_loop_differs_from_itself_nothing_is_settled():
    made = tax_run(0.9)
    twins = {each.trial for each in made.events if isinstance(each, TrialStarted) and each.twin}
    events = [
        msgspec.structs.replace(event, wall_seconds=1.2 * event.wall_seconds)
        if isinstance(event, Window) and event.trial in twins
        else event
        for event in made.events
    ]
    [tax] = taxes(Observations(Run(manifest=made.manifest, events=events)))
    assert tax.noise_floor is not None and tax.noise_floor.high < 1
    assert tax.outcome == "open"


def test_no_tax_meets_the_goal():
    assert [tax.outcome for tax in taxes(Observations(tax_run(1.0)))] == ["met"]


def test_without_parity_there_is_no_ratio():
    [tax] = taxes(Observations(tax_run(1.0, worst={"adapter": 1e-3})))
    assert (tax.outcome, tax.times_handwritten_rate, tax.interval) == ("not_comparable", None, None)


def test_without_a_block_nothing_was_measured():
    run = tax_run(1.0)
    run = msgspec.structs.replace(
        run, events=[event for event in run.events if isinstance(event, Parity)]
    )
    [tax] = taxes(Observations(run))
    assert (tax.outcome, tax.blocks, tax.times_handwritten_rate) == ("not_measured", 0, None)
    assert not tax.first_windows_differ


def test_first_windows_are_held_against_each_other():
    run = tax_run(1.0)
    [tax] = taxes(Observations(run))
    assert tax.first_window_deviation == 0
    adapters = [
        event.trial
        for event in run.events
        if isinstance(event, TrialStarted) and event.cell == tax.adapter
    ]
    off = [
        msgspec.structs.replace(event, loss_sum=event.loss_sum * 1.25)
        if isinstance(event, Window) and event.trial == adapters[-1] and event.loss_sum
        else event
        for event in run.events
    ]
    [tax] = taxes(Observations(msgspec.structs.replace(run, events=off)))
    assert tax.first_window_deviation == pytest.approx(0.25)
    assert (tax.outcome, tax.times_handwritten_rate) == ("not_comparable", None)
    assert tax.first_windows_differ


@pytest.mark.parametrize(
    ("factor", "outcome"),
    [(1 + 9e-7, "met"), (1 + 1.1e-6, "not_comparable"), (None, "not_comparable")],
)
def test_rounding_may_part_first_windows_and_nothing_else(factor, outcome):
    run = tax_run(1.0)
    adapters = {
        event.trial
        for event in run.events
        if isinstance(event, TrialStarted) and not event.cell.count(HANDWRITTEN)
    }
    events = [
        msgspec.structs.replace(event, loss_sum=event.loss_sum * factor if factor else None)
        if isinstance(event, Window) and event.trial in adapters and event.loss_sum
        else event
        for event in run.events
    ]
    [tax] = taxes(Observations(msgspec.structs.replace(run, events=events)))
    assert tax.outcome == outcome
    assert tax.first_windows_differ == (outcome != "met")
