"""What the kernel says of this process and this machine. Linux; elsewhere less is known."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple


class Reading(NamedTuple):
    """Counters at one moment; windows are differences of two."""

    wall_seconds: float
    cpu_seconds: float
    minor_faults: int
    major_faults: int
    involuntary_switches: int
    steal_seconds: float
    idle_seconds: float | None


class SystemTimes(NamedTuple):
    """CPU seconds since boot."""

    steal: float
    """Over all CPUs, that the hypervisor gave to others."""
    idle: float | None
    """Over the CPUs that this process may use, that nobody used; nothing where that is not shown,
    as by kernels that answer with zeros."""


_STAT = Path("/proc/stat")
_CPUS = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""Before any framework has bound this thread to some of them."""


def read_counters() -> Reading:
    """The counters now; the clock is read last, so that reading them costs the window nothing."""
    system = system_times()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Reading(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        minor_faults=usage.ru_minflt,
        major_faults=usage.ru_majflt,
        involuntary_switches=usage.ru_nivcsw,
        steal_seconds=system.steal,
        idle_seconds=system.idle,
        wall_seconds=time.perf_counter(),
    )


def system_times(stat: Path = _STAT, cpus: Collection[int] = _CPUS) -> SystemTimes:
    """Those of proc(5). A CPU that waits for a disk is idle: it was to be had."""
    tick_seconds = 1 / os.sysconf("SC_CLK_TCK")
    try:
        lines = re.findall(r"^cpu(\d*) +([\d ]+)$", stat.read_text(encoding="ascii"), re.MULTILINE)
        ticks = {name: [int(word) for word in words.split()] for name, words in lines}
        everyone = ticks.pop("")
        steal = everyone[7] * tick_seconds
    except (OSError, KeyError, IndexError, ValueError):
        return SystemTimes(0.0, None)
    own = {str(number) for number in cpus}
    if not any(everyone) or not own or not own <= ticks.keys():
        return SystemTimes(steal, None)
    # The line of all where that will do: it is rounded once.
    rows = [everyone] if own == ticks.keys() else [ticks[name] for name in own]
    return SystemTimes(steal, tick_seconds * sum(row[3] + row[4] for row in rows))


def peak_memory_bytes() -> int:
    """Peak resident memory of this process: VmHWM of proc(5)."""
    # Not getrusage: its maximum is inherited across fork and exec from the harness.
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_frequency_mhz() -> float | None:
    """Mean frequency of all CPUs now, where the kernel shows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        values = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    except (OSError, ValueError):
        return None
    return sum(values) / len(values) if values else None


def thread_settings() -> dict[str, int]:
    """Library → number of threads, of every thread pool that is loaded."""
    from threadpoolctl import threadpool_info

    return {
        f"{pool['internal_api']} {Path(pool['filepath']).name.split('.')[0]}": pool["num_threads"]
        for pool in threadpool_info()
    }
