"""What the kernel says of this process and this machine. Linux; elsewhere less is known."""

from __future__ import annotations

import os
import resource
import time
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


def read_counters() -> Reading:
    """The counters now; the clock is read last, so that reading them costs the window nothing."""
    steal_seconds = system_steal_seconds()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Reading(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        minor_faults=usage.ru_minflt,
        major_faults=usage.ru_majflt,
        involuntary_switches=usage.ru_nivcsw,
        steal_seconds=steal_seconds,
        wall_seconds=time.perf_counter(),
    )


def system_steal_seconds() -> float:
    """CPU seconds since boot, over all CPUs, that the hypervisor gave to others (proc(5))."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


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
