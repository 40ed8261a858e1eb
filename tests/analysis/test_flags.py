from __future__ import annotations

import msgspec
import numpy as np
import pytest

from harness.analysis.verdicts import judge
from harness.spec.events import Run, Window

from .golden import TWIN, A, B
from .runs import Contender, Logs, cell, noise, speed_run


def steady() -> dict[Contender, Logs]:
    return {each: noise(seed, 5, 5, 0.01) for seed, each in enumerate((A, TWIN, B))}


def test_restless_blocks_are_shown_and_kept() -> None:
    quiet, restless = speed_run(steady()), speed_run(steady(), restless=[1])
    flags = judge(restless).block_flags
    assert [(each.block, each.kind) for each in flags] == [(1, "steal"), (1, "control")]
    assert [each.value for each in flags] == pytest.approx([0.05, 0.5])
    assert judge(restless).verdicts == judge(quiet).verdicts
    assert judge(quiet).block_flags == ()


def test_stalls_are_flagged_where_they_are() -> None:
    logs = steady()
    logs[B][:, 0] -= np.log(3)
    judgement = judge(speed_run(logs))
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
    (flag,) = judge(Run(manifest=run.manifest, events=events)).contender_flags
    assert (flag.kind, flag.cell, flag.twin) == (kind, cell("beta").id, False)
    assert value is None or flag.value == pytest.approx(value)
