"""What a terminal shows while a block runs: who is at what rate, and how the pairs stand so far."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.samples import mean_log
from harness.report.cast import Cast
from harness.report.formats import count, number, times
from harness.report.remarks import ratio_in_words
from harness.spec.events import TrialStarted, Window
from harness.spec.manifest import Group

CONFIDENCE = 0.95
Key = tuple[str, str, bool]
"""Group, cell, and whether it is the second copy."""
HEADER = ("contender", "last window, examples/s", "times as fast as the reference, so far")


class Board(NamedTuple):
    """A table for the terminal, already in words."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


class Standings:
    """The windows of the short blocks seen so far, and what they say of each contender.

    The same estimate as in the report (see ``analysis.samples``), kept block by block so that a
    window costs as much at the end of a run as at its beginning.
    """

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._group = Group(name="", cells=("",))
        self._logs: defaultdict[Key, list[float]] = defaultdict(list)
        self._trials: dict[int, TrialStarted] = {}
        self._windows: defaultdict[int, dict[int, float]] = defaultdict(dict)

    def begin(self, group: Group) -> None:
        """A block of ``group`` begins: nothing of it is known."""
        self._group = group
        self._trials.clear()
        self._windows.clear()

    def start(self, trial: TrialStarted) -> None:
        """``trial`` takes part in the block."""
        self._trials[trial.trial] = trial

    def see(self, window: Window) -> None:
        """``window`` belongs to the block."""
        if window.examples > 0 and window.wall_seconds > 0:
            self._windows[window.trial][window.round] = window.examples / window.wall_seconds

    def finish(self) -> None:
        """The block counts."""
        for key, ratio in self._block_ratios().items():
            self._logs[key].append(ratio)

    def board(self, title: str, note: str) -> Board:
        """How things stand: the finished blocks, and the last window of the running one."""
        rows = []
        for trial, started in self._trials.items():
            rates = self._windows.get(trial, {})
            rate = number(rates[max(rates)]) if rates else ""
            name = self._cast.name(started.cell, twin=started.twin)
            rows.append((name, rate, self._standing(started)))
        return Board(title, HEADER, rows, note)

    def _standing(self, started: TrialStarted) -> str:
        if self._is_reference(started):
            return "reference"
        key = (started.group, started.cell, started.twin)
        found = mean_log(np.array(self._logs.get(key, [])))
        if found is None:
            now = self._block_ratios().get(key)
            return "" if now is None else f"{times(math.exp(now))}, this block alone"
        ratio = ratio_in_words(found.ratio, found.ratio_interval(CONFIDENCE))
        return f"{ratio}, {count(found.n, 'block')}"

    def _is_reference(self, started: TrialStarted) -> bool:
        return (started.cell, started.twin) == (self._group.cells[0], False)

    def _block_ratios(self) -> Mapping[Key, float]:
        """The median over rounds of each contender's log ratio to the reference."""
        reference: Mapping[int, float] = {}
        for trial, started in self._trials.items():
            if self._is_reference(started):
                reference = self._windows.get(trial, {})
        ratios = {}
        for trial, started in self._trials.items():
            own = self._windows.get(trial, {})
            paired = [math.log(own[each] / reference[each]) for each in own if each in reference]
            if paired and not self._is_reference(started):
                ratios[started.group, started.cell, started.twin] = statistics.median(paired)
        return ratios
