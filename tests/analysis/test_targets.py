from __future__ import annotations

import msgspec
import pytest

from harness.analysis.curves import curves
from harness.analysis.observations import Observations
from harness.analysis.targets import target_times
from harness.spec.events import Evaluation

from .runs import cell, run_of, seeds_events

replace = msgspec.structs.replace


def test_every_long_trial_says_when_it_reached_its_recipes_target() -> None:
    events = seeds_events({"alpha": [[0.3, 0.6], [0.5, 0.6]], "beta": [[0.3, 0.4], [0.49, 0.4999]]})
    run = run_of(events, ["alpha", "beta"])
    seconds = [point.train_seconds for point in curves(Observations(run))[0].epochs]
    found = target_times(Observations(run))
    assert [(each.cell, each.seed, each.epoch) for each in found] == [
        (cell("alpha").id, 40, 2),
        (cell("beta").id, 40, None),
        (cell("alpha").id, 41, 1),
        (cell("beta").id, 41, None),
    ]
    assert [each.train_seconds for each in found] == pytest.approx(
        [seconds[1], None, seconds[0], None]
    )
    assert {each.target_accuracy for each in found} == {0.5}


def test_evaluation_and_staging_are_not_on_the_clock() -> None:
    run = run_of(seeds_events({"alpha": [[0.3, 0.6]]}), ["alpha"])
    slow = [
        replace(event, seconds=1e6, stage_seconds=1e6) if isinstance(event, Evaluation) else event
        for event in run.events
    ]
    assert target_times(Observations(replace(run, events=slow))) == target_times(Observations(run))


def test_a_recipe_without_a_target_has_no_times() -> None:
    run = run_of(seeds_events({"alpha": [[0.3, 0.6]]}), ["alpha"])
    cells = tuple(
        replace(each, recipe=replace(each.recipe, target_accuracy=None))
        for each in run.manifest.cells
    )
    assert (
        target_times(Observations(replace(run, manifest=replace(run.manifest, cells=cells)))) == ()
    )
