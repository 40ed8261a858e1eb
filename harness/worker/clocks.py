"""Clocks of a worker: of the wall, and of the CPU time of all of its threads."""

from __future__ import annotations

import time
from typing import NamedTuple


class Laps:
    """Consecutive stretches of time: each begins where the one before it ended."""

    def __init__(self) -> None:
        self._began = self._at = self._now()

    def lap(self) -> Lap:
        """What has passed since the last call."""
        before, self._at = self._at, self._now()
        return Lap(self._at.seconds - before.seconds, self._at.cpu_seconds - before.cpu_seconds)

    def total(self) -> Lap:
        """What has passed since the first stretch began."""
        now = self._now()
        return Lap(now.seconds - self._began.seconds, now.cpu_seconds - self._began.cpu_seconds)

    @staticmethod
    def _now() -> Lap:
        return Lap(time.perf_counter(), time.process_time())


class Lap(NamedTuple):
    """A stretch of time."""

    seconds: float
    """By the wall clock."""
    cpu_seconds: float
    """Of this process, all of its threads, user and system."""


class Stopwatch:
    """Adds up this process's CPU time over all times that it is entered."""

    def __init__(self) -> None:
        self.cpu_seconds = 0.0

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(self, *error: object) -> None:
        self.cpu_seconds += time.process_time() - self._began
