from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.slowdown import planned_blocks, slowdowns
from harness.spec.gates import Thresholds


def test_how_many_blocks_are_planned():
    assert [planned_blocks(cells) for cells in (1, 2, 6)] == [10, 20, 20]


def test_thresholds_are_of_times_and_estimates_of_their_logs():
    """A cell that takes 3 % more time for certain is slower at 2 %, and held at its own 5 %."""
    logs = np.full(10, math.log(1.03))
    found = slowdowns([logs, logs], [Thresholds(), Thresholds(slowdown=0.05)], 0.01)
    assert [each.word for each in found] == ["worse", "held"]
    assert [math.expm1(each.estimate.mean) for each in found] == pytest.approx([0.03, 0.03])
