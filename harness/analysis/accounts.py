"""Where all of a timed trial's time went: checks of an audit that only ask the clocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from harness.analysis.audit_checks import Conditions, check_of, quotient, total
from harness.analysis.foreign import FOREIGN_LIMIT, taken_cpus
from harness.spec.cells import Cell
from harness.spec.events import Window
from harness.spec.proof_events import AuditCheck

STAGED_TIMES_GATHERED = 10
"""Staging copies what gathering has copied, a few times over; it does not train."""
LEAD_IN_TIMES_WINDOW = 5
"""A step of the lead-in may take so many times the CPU time of a timed step: caches are cold."""
LEFT_OVER_SHARE = 0.05
"""Of a window's time that may be left to do when its metrics are read."""
UNCOUNTED_SHARE = 0.10
"""Of the time between question and answer that a worker's own clock may not account for."""
THREADS_SHARE = 0.25
"""CPU time beyond the cell's threads: a main thread that hands out work while others compute it."""
WAITING_SHARE = 0.05
"""Of the time for which a worker waits that it may use a CPU: it is stopped meanwhile."""
SLACK_SECONDS = 0.1
"""Of a window: what a call costs however little it does, and the clocks' own grain."""
CLOCK_GRAIN_SECONDS = 0.01
"""Of a window: the clocks for wall and for CPU time are not read at once."""


def accounts(windows: Sequence[Window], conditions: Conditions) -> Iterator[AuditCheck]:
    """Where all of the time went; scripts and workers of earlier versions don't say."""
    windows = [window for window in windows if window.weights_before]
    if not windows:
        return
    count, cell = len(windows), conditions.cell
    before = (conditions.initial_weights, *(window.weights_after for window in windows))
    moved = [
        window
        for window, weights in zip(windows, before, strict=False)
        if window.weights_before != weights
    ]
    yield check_of("staging", len(moved), 0, 0, moved[0].round if moved else None)
    slack = SLACK_SECONDS * count
    cpu_seconds = total(window.cpu_seconds for window in windows)
    if not cell.loads:
        gathered = total(window.gather_cpu_seconds for window in windows)
        staged = total(window.stage_cpu_seconds for window in windows)
        yield check_of("staging_time", staged, 0, STAGED_TIMES_GATHERED * gathered + slack)
        calm = calm_windows(windows, cell)
        if calm:
            lead_in = undisturbed([window.lead_in_cpu_seconds for window in calm])
            usual = median(one.cpu_seconds / one.steps * one.lead_in_steps for one in calm)
            yield check_of("lead_in", lead_in, 0, LEAD_IN_TIMES_WINDOW * usual + SLACK_SECONDS)
    yield from _left_over(windows, cell)
    asked = total(window.answer_seconds for window in windows)
    lacking = asked - total(window.total_seconds for window in windows)
    yield check_of("clock", lacking, -slack, UNCOUNTED_SHARE * asked + slack)
    asked = total(window.answer_cpu_seconds for window in windows)
    lacking = asked - total(window.total_cpu_seconds for window in windows)
    yield check_of("cpu_clock", lacking, -slack, UNCOUNTED_SHARE * asked + slack / 2)
    yield from _threads(windows, cell, cpu_seconds)
    if cell.device == "cpu":
        waited = total(window.waiting_seconds for window in windows)
        used = total(window.waiting_cpu_seconds for window in windows)
        yield check_of("waiting", used, 0, WAITING_SHARE * waited + slack)


def calm_windows(windows: Sequence[Window], cell: Cell) -> list[Window]:
    """Those in which others took no more than ``FOREIGN_LIMIT`` CPUs from the cell's threads.

    Beside more, two steps by themselves say nothing: in one run with a test suite beside it, an
    honest worker's usual lead-in took 17 times the CPU time of as many timed steps. Where it is not
    known what others took, a window counts as calm.
    """
    if cell.device != "cpu":
        return list(windows)
    wanted = cell.threads + cell.loader_workers
    return [one for one in windows if (taken_cpus(one, wanted) or 0.0) <= FOREIGN_LIMIT]


def undisturbed(values: Sequence[float]) -> float:
    """What a quarter of ``values`` are at most: of three, the smallest.

    Threads that wait for each other spin, for 0.2 s in some libraries, and beside other work one of
    a few steps waits long. What a program does in each window is in all values; that is in some.
    """
    return sorted(values)[(len(values) - 1) // 4]


def _left_over(windows: Sequence[Window], cell: Cell) -> Iterator[AuditCheck]:
    """What readings before and after the steps took longer than the last one. On a GPU a process
    waits without using CPU time, so there the wall clock is asked."""
    if cell.device == "cpu":
        again = [window.read_again_cpu_seconds for window in windows]
        before = total(w.read_before_cpu_seconds for w in windows) - total(again)
        after = total(w.read_cpu_seconds for w in windows) - total(again)
        allowed = LEFT_OVER_SHARE * total(window.cpu_seconds for window in windows)
    else:
        again = [window.read_again_seconds for window in windows]
        before = total(w.read_before_seconds for w in windows) - total(again)
        after = total(w.read_seconds for w in windows) - total(again)
        allowed = LEFT_OVER_SHARE * total(window.wall_seconds for window in windows)
    found = max(0.0, before) + max(0.0, after)
    yield check_of("left_over", found, 0, allowed + SLACK_SECONDS / 5 * len(windows))


def _threads(windows: Sequence[Window], cell: Cell, cpu_seconds: float) -> Iterator[AuditCheck]:
    """CPU time of all that the worker has started, for each second of its windows."""
    children = total(window.children_cpu_seconds for window in windows)
    seconds = total(window.wall_seconds for window in windows)
    if cell.loads:
        # A loader's processes also work between windows, and all of that was counted.
        cpu_seconds = total(window.total_cpu_seconds for window in windows)
        seconds = total(window.answer_seconds for window in windows)
    threads = cell.threads + cell.loader_workers
    slack = CLOCK_GRAIN_SECONDS * len(windows) / seconds if seconds > 0 else 0.0
    seen = quotient(cpu_seconds + children, seconds)
    yield check_of("threads", seen, 0, threads * (1 + THREADS_SHARE) + slack)
