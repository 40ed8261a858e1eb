"""Rates of cells beside that of the machine: what can be compared between runs, more or less.

Contenders of one block share the machine's luck, contenders of two runs do not. What the harness
times before each window, a fixed matrix product (the control kernel), tells how fast the machine
was then. A rate times the control's seconds is the number of examples trained while the control
would run once: what slows both alike, cancels. What slows only one of the two remains.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean, median
from typing import NamedTuple

from harness.spec.events import AnyEvent, BlockFinished, TrialFinished, TrialStarted, Window
from harness.spec.speed_events import (
    SpeedBlockFinished,
    SpeedEvent,
    SpeedTrialFinished,
    SpeedTrialStarted,
    SpeedWindow,
)

# Made once: in a history of a thousand runs each is asked a million times.
_WINDOWS = (Window, SpeedWindow)
_STARTED = (TrialStarted, SpeedTrialStarted)
_FINISHED = (TrialFinished, SpeedTrialFinished)
_ENDS = (BlockFinished, SpeedBlockFinished)


class ControlledRate(NamedTuple):
    """How fast a cell was in a run, over its short blocks, and how fast the control was then."""

    blocks: int
    log_rate: float
    """Mean over blocks of the log of the median over rounds of examples/s, as in ``samples``."""
    log_control: float
    """Mean over the same blocks of the log of the median of the control's seconds, over all
    windows of the block."""

    @property
    def examples_per_second(self) -> float:
        """Geometric mean over blocks."""
        return math.exp(self.log_rate)

    @property
    def control_seconds(self) -> float:
        """Geometric mean over blocks."""
        return math.exp(self.log_control)

    @property
    def normalised(self) -> float:
        """Log of the examples trained while the control would run once."""
        return self.log_rate + self.log_control


def controlled_rates(events: Iterable[AnyEvent | SpeedEvent]) -> dict[str, ControlledRate]:
    """Cell id → its rate; without the reference's second copy, and without cells that no finished
    short block has."""
    started: dict[int, TrialStarted | SpeedTrialStarted] = {}
    finished: set[int] = set()
    windows: defaultdict[int, list[Window | SpeedWindow]] = defaultdict(list)
    ends: dict[tuple[str, int], BlockFinished | SpeedBlockFinished] = {}
    for event in events:
        if isinstance(event, _WINDOWS):
            windows[event.trial].append(event)
        elif isinstance(event, _STARTED):
            started[event.trial] = event
        elif isinstance(event, _FINISHED):
            finished.add(event.trial)
        elif isinstance(event, _ENDS) and not event.long:
            ends.setdefault((event.group, event.block), event)
    values: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for end in ends.values():
        trials = [trial for trial in end.trials if trial in started and trial in finished]
        control = _median(each.control_seconds for trial in trials for each in windows[trial])
        for trial in trials:
            rate = _median(
                each.examples / each.wall_seconds
                for each in windows[trial]
                if each.wall_seconds > 0
            )
            if rate and control and not started[trial].twin:
                values[started[trial].cell].append((math.log(rate), math.log(control)))
    return {
        cell: ControlledRate(
            blocks=len(found),
            log_rate=fmean(log_rate for log_rate, _ in found),
            log_control=fmean(log_control for _, log_control in found),
        )
        for cell, found in values.items()
    }


def _median(values: Iterable[float]) -> float | None:
    """Of those above 0, if there are any: no clock can have shown others."""
    positive = [value for value in values if value > 0]
    return median(positive) if positive else None
