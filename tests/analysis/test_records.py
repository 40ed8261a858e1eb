"""What is answered as JSON can be read back as the same records."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from harness.analysis.convergence import Convergence, convergences
from harness.analysis.inputs import InputCost, input_costs
from harness.analysis.observations import Observations
from harness.analysis.reproduction import Reproduction, reproductions
from harness.analysis.targets import TargetTime, target_times
from harness.spec.manifest import Run

from .golden import A, B
from .runs import run_of, seeds_events, short_events


@pytest.fixture(scope="module")
def run() -> Run:
    seeds = [[0.1, 0.58], [0.1, 0.61], [0.42, 0.60]]
    events = seeds_events({"alpha": seeds, "beta": seeds}, plateaus=[6, 7, 2])
    flat = {A: np.zeros((2, 2)), B: np.zeros((2, 2))}
    events += short_events(flat)
    events += short_events(flat, source="loader", first_trial=500)
    return run_of(events, ["alpha", "beta"], sources=("resident", "loader"), aa=False)


@pytest.mark.parametrize(
    ("records", "kind", "count"),
    [
        (reproductions, Reproduction, 2),
        (convergences, Convergence, 1),
        (target_times, TargetTime, 6),
        (input_costs, InputCost, 2),
    ],
)
def test_records_survive_json(records: Any, kind: type, count: int, run: Run) -> None:
    found = records(Observations(run))
    assert len(found) == count
    assert msgspec.json.decode(msgspec.json.encode(found), type=tuple[kind, ...]) == found  # type: ignore[valid-type]
