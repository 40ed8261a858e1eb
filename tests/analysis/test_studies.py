"""One table: study × what happened → the exit code of its command."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis.observations import Observations
from harness.analysis.studies import exit_code, judged_as
from harness.spec.events import Failure, Window
from harness.spec.manifest import Run

from .gates import gated
from .runs import Contender, noise, speed_run
from .test_tax import tax_run


def plain(**how):
    logs = {Contender("alpha"): noise(1, 5, 3, 0.01), Contender("beta"): noise(2, 5, 3, 0.01)}
    return speed_run(logs, **how)


def taxed(*how, **more):
    run = tax_run(*how, **more)
    manifest = msgspec.structs.replace(run.manifest, study="tax")
    return Run(manifest=manifest, events=run.events)


def failing(run):
    cell = run.manifest.cells[1].id
    failure = Failure(at=0.0, cell=cell, trial=99, block=1, phase="training", reason="no memory")
    return Run(manifest=run.manifest, events=[*run.events, failure])


def differing(run):
    """The losses of the first windows are none that two programs of the same work can have."""
    events = [
        msgspec.structs.replace(event, loss_sum=event.loss_sum * (1 + event.trial * 1e-3))
        if isinstance(event, Window) and event.loss_sum
        else event
        for event in run.events
    ]
    return Run(manifest=run.manifest, events=events)


@pytest.mark.parametrize(
    ("study", "run", "code"),
    [
        ("run", plain(), 0),
        ("run", failing(plain()), 2),
        ("run", plain(worst={"beta": 1e-3}), 3),
        ("run", failing(plain(worst={"beta": 1e-3})), 3),
        ("gate", gated(), 0),
        ("gate", gated(0.3), 1),
        ("gate", failing(gated()), 2),
        ("gate", gated(worst={"beta": 1e-3}), 3),
        ("gate", gated(sd=0.3), 4),
        ("tax", taxed(1.0), 0),
        ("tax", taxed(0.9), 1),
        ("tax", taxed(0.97, 10, 0.3), 0),
        ("tax", failing(taxed(0.9)), 2),
        ("tax", taxed(0.9, worst={"adapter": 1e-3}), 3),
        ("tax", differing(taxed(1.0)), 3),
    ],
)
def test_what_a_command_ends_with(study, run, code):
    assert (judged_as(run.manifest.study), exit_code(Observations(run))) == (study, code)
