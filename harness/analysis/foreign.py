"""What other programs, and other guests of the host, took from the threads of contenders.

Taking turns cancels what slows everybody by the same factor. This does not: a contender whose
threads wait for each other at the end of every operator stands still while one of them is off its
CPU; one whose threads take the next piece of work from a queue loses no more than that thread.
Both copies of the reference suffer alike, so the noise floor shows nothing of it. What was taken
is known, though: what a contender's CPUs did within its windows was its own work, or nothing, or
taken.

*The bound*: where others took ``t`` CPUs at a time, a contender was short of a thread for a share
of at most ``t`` of the time. At worst it stood still then and would have been 1 ÷ (1 − t) as fast,
and the contender beside it lost nothing. From one CPU on, there is no bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.analysis.estimate import Estimate, Floats
from harness.analysis.judgement import Look, Word
from harness.analysis.samples import Contender, Sample
from harness.spec.cells import Cell
from harness.spec.events import Window

FOREIGN_LIMIT = 0.10
"""CPUs. Up to here a pair is judged as if nothing had been taken: daemons and a little steal are
never absent, and are far from their bound."""
LEAST_SECONDS = 0.2
"""Of a window that is judged by itself: the kernel counts in hundredths."""


def taken_cpus(window: Window, wanted: float) -> float | None:
    """CPUs that others had, of those that the contender ``wanted``; nothing where it isn't known.

    Below 0 by what the kernel rounds.
    """
    if window.idle_seconds is None or window.wall_seconds <= 0:
        return None
    had = window.cpu_seconds + window.children_cpu_seconds + window.idle_seconds
    return wanted - had / window.wall_seconds


def wanted_cpus(cells: Sequence[Cell], cores: int) -> dict[str, float]:
    """Cell → CPUs that its threads, and those of its loader, keep busy at once if they can.

    Not of cells on a GPU: their threads seldom compute.
    """
    return {
        cell.id: min(cell.threads + cell.loader_workers, cores)
        for cell in cells
        if cell.device == "cpu"
    }


def taken_by_block(of: Sample, contender: Contender, wanted: Mapping[str, float]) -> Floats:
    """(blocks,): CPUs that others took from the contender, over all of a block's windows.

    NaN where it is not known.
    """
    column = of.column(contender)
    had = of.cpu_seconds + of.children_cpu_seconds + of.idle_seconds
    known = np.where(np.isnan(had), np.nan, of.wall_seconds)[:, column]
    with np.errstate(invalid="ignore"):
        shares: Floats = np.nansum(had[:, column], axis=1) / np.nansum(known, axis=1)
    return wanted.get(contender.cell, math.nan) - shares


class ForeignLoad(NamedTuple):
    """What others took from the contenders of a run."""

    cells: Mapping[str, Cell]
    wanted: Mapping[str, float]
    """Cell → CPUs, as ``wanted_cpus``."""

    def taken(
        self, of: Sample, pair: tuple[Contender, Contender], rows: NDArray[np.bool_]
    ) -> float | None:
        """CPUs that others took from the one of the two that lost more; its mean over ``rows``.

        A block counts for one CPU at most: more can't be worse. Nothing where no block knows.
        """
        means = []
        for each in pair:
            lost = taken_by_block(of, each, self.wanted)[rows]
            known = np.minimum(lost[~np.isnan(lost)], 1.0)
            means += [max(0.0, float(known.mean()))] if known.size else []
        return max(means, default=None)

    def hits_alike(self, one: Contender, other: Contender) -> bool:
        """Whether the threads of both wait in one way: a framework's in one mode."""
        kinds = [
            (cell.framework, cell.mode) if (cell := self.cells.get(each.cell)) else each
            for each in (one, other)
        ]
        return kinds[0] == kinds[1]


def may_decide(taken: float | None, word: Word, shown: Estimate, look: Look) -> bool:
    """Whether that others had ``taken`` CPUs could alone have made what ``look`` says of a pair.

    A difference stands where the end of its interval that is nearer to 1 lies beyond the bound.
    """
    if taken is None or taken <= FOREIGN_LIMIT:
        return False
    interval = shown.ratio_interval(1 - look.difference_alpha)
    if word not in ("faster", "slower") or interval is None or taken >= 1:
        return True
    bound = 1 / (1 - taken)
    return 1 / bound <= interval.high and interval.low <= bound
