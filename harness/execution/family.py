"""What a worker and all processes that it has started use of the CPU, and that none outlives it."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, NamedTuple

import psutil

MARK = "LEVELFIELD_WORKER"
"""Environment variable of a worker, inherited by all that it starts."""
PR_SET_CHILD_SUBREAPER = 36
CPU_CLOCK_OF_ALL_THREADS = 2


class CpuSeconds(NamedTuple):
    """User and system CPU time so far."""

    worker: float
    children: float
    """Of all processes that the worker has started, those that have ended and been waited for
    among them."""


def adopt_orphans() -> None:
    """Processes whose parent ends become children of this one: prctl(2), PR_SET_CHILD_SUBREAPER.

    A worker's child that daemonizes would otherwise be init's, and nobody's to count or to end.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def cpu_clock(pid: int) -> float:
    """CPU seconds of all threads of a process, exact to the nanosecond; 0 once it is gone.

    The clock's number is made as clock_getcpuclockid(3) makes it.
    """
    try:
        return time.clock_gettime((~pid << 3) | CPU_CLOCK_OF_ALL_THREADS)
    except OSError:
        return 0.0


class Family:
    """A worker's process with all its descendants, detached ones too."""

    _workers: ClassVar[set[int]] = set()
    """Children of this process that are no orphans."""
    _claimed: ClassVar[set[tuple[int, float]]] = set()
    """Number and time of birth of those that have ended and were counted."""

    def __init__(self, pid: int, mark: str) -> None:
        """``mark``: the value of ``MARK`` in the worker's environment, its own alone."""
        self._pid = pid
        self._mark = f"{MARK}={mark}".encode()
        self._gone_seconds = 0.0
        self._last: dict[int, float] = {}
        self._left: list[int] = []
        self._workers.add(pid)

    def cpu_seconds(self) -> CpuSeconds:
        """What worker and descendants have used so far."""
        now = {pid: cpu_clock(pid) for pid in self.descendants()}
        # What has ended since the last look had used at least what it had used by then.
        gone = {pid: seconds for pid, seconds in self._last.items() if pid not in now}
        for pid, seconds in self._ended().items():
            gone[pid] = max(seconds, gone.get(pid, 0.0))  # counted in ticks
        self._gone_seconds += sum(gone.values())
        self._last = now
        return CpuSeconds(
            cpu_clock(self._pid),
            max(self._gone_seconds, self._waited_for()) + sum(now.values()),
        )

    def _ended(self) -> dict[int, float]:
        """Processes that nobody has waited for yet → all CPU seconds that they have used.

        Whose an orphan was is not to be seen any more: it is charged to the worker that is looked
        at, as no other one runs meanwhile.
        """
        found = {}
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                known = process.pid, process.create_time()
                if process.status() != psutil.STATUS_ZOMBIE or known in self._claimed:
                    continue
                orphaned = process.ppid() == os.getpid() and process.pid not in self._workers
                if orphaned or any(parent.pid == self._pid for parent in process.parents()):
                    self._claimed.add(known)
                    self._left.append(process.pid)
                    found[process.pid] = sum(process.cpu_times()[:4])
        return found

    def descendants(self) -> list[int]:
        """Processes that the worker has started and that live, zombies left out."""
        found = []
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error, OSError):
                    if process.pid != self._pid and self._is_ours(process):
                        found.append(process.pid)
        return found

    def end(self) -> list[str]:
        """No descendant lives any more; what had to be ended, a name and a number each."""
        ended = []
        for _ in range(3):  # one that forks while it is ended is met again
            living = self.descendants()
            for pid in living:
                with suppress(psutil.Error, OSError):
                    ended.append(f"{psutil.Process(pid).name()} ({pid})")
                    os.kill(pid, signal.SIGKILL)
            for pid in living:
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)
            if not living:
                break
        self._ended()
        for pid in self._left:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._workers.discard(self._pid)
        return ended

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if any(parent.pid == self._pid for parent in process.parents()):
            return True
        environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        return self._mark in environment

    def _waited_for(self) -> float:
        """CPU seconds of children that have ended and that the worker has waited for."""
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.children_user + times.children_system)
