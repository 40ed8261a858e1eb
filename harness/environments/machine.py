"""What machine this is, as far as it decides how fast a computation is."""

from __future__ import annotations

import math
import os
import platform
import time
from pathlib import Path

import numpy as np
import psutil

from harness.environments.gpus import gpu_names
from harness.environments.limits import cpu_quota_cores, memory_left_bytes, memory_limit_bytes
from harness.spec.machine import Machine


def inspect_machine() -> Machine:
    """The machine, or the part of it that this process may use."""
    gpu, driver = gpu_names()
    return Machine(
        cpu=_cpu_model(),
        cores=default_threads(),
        memory_bytes=min(psutil.virtual_memory().total, *_known(memory_limit_bytes())),
        kernel=platform.release(),
        gpu=gpu,
        driver=driver,
        system=_system(),
        libc=" ".join(platform.libc_ver()).strip(),
        governor=_governor(),
    )


def measured_peak_flops() -> float:
    """Float32 operations a second of a large matrix product on all CPUs: the best of some.

    A product of n × n matrices counts 2n³. It takes about a tenth of a second.
    """
    size, tries = 1024, 8
    factor = np.full((size, size), 0.5, np.float32)
    product = np.empty_like(factor)
    best_seconds = math.inf
    for _ in range(tries):
        began = time.perf_counter()
        np.matmul(factor, factor, out=product)
        best_seconds = min(best_seconds, time.perf_counter() - began)
    return 2.0 * size**3 / best_seconds


def default_threads() -> int:
    """Threads that a worker gets by default: the logical cores this process may use.

    Affinity and quota both count. Of a fractional quota the whole part: a thread more would be
    stopped for the rest of each period, and windows would measure that.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cpu_quota_cores()
    return max(1, cores if quota is None else min(cores, int(quota)))


def available_memory_bytes() -> int:
    """Memory that new processes can have without swapping."""
    return min(psutil.virtual_memory().available, *_known(memory_left_bytes()))


def _known(limit: int | None) -> tuple[int, ...]:
    """``limit`` as further arguments of ``min``; without one, a number that is never least."""
    return (2**63,) if limit is None else (limit,)


def _cpu_model(cpuinfo_path: Path = Path("/proc/cpuinfo")) -> str:
    try:
        for line in cpuinfo_path.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    # Not every kernel says it there (ARM's does not); py-cpuinfo knows more, but takes a second.
    import cpuinfo

    return str(cpuinfo.get_cpu_info().get("brand_raw") or platform.machine())


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _governor() -> str | None:
    try:
        path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        return path.read_text().strip() or None
    except OSError:
        return None
