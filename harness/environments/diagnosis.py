"""What on this machine can disturb a measurement, and what to do about it.

Everything is read below two folders, ``/proc`` and ``/sys`` (proc(5), sysfs(5)), so that it can be
tried on copies of them. In containers and virtual machines much of it is missing: then that is what
is said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from harness.environments.limits import cpu_quota_cores, memory_left_bytes
from harness.environments.variables import VARIABLES

Mark = Literal["ok", "look", "unknown"]

LOAD_LIMIT_PER_CORE = 0.1
STEAL_LIMIT = 0.02
"""As blocks are flagged by (``analysis/flags.py``)."""
BUSY_LIMIT = 0.05
"""Of one core, by a process that is not ours."""
MOST_NAMED = 3
_THREADS_AND_MEMORY = re.compile(
    r"(OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|GOTO|NUMEXPR|VECLIB|TF_NUM|TBB|MALLOC|DNNL|ONEDNN)_\w+"
    r"|GLIBC_TUNABLES|LD_PRELOAD|LD_LIBRARY_PATH"
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    what: str
    mark: Mark
    """``look``: it can disturb a measurement. ``unknown``: the kernel does not show it here."""
    seen: str
    advice: str = ""
    """What to do; only with ``look``."""


class Roots(NamedTuple):
    """Where the kernel's files are."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")


class Counters(NamedTuple):
    """What has been counted since boot."""

    all_ticks: int
    steal_ticks: int
    cores: int
    swapped_pages: int
    by_process: dict[int, tuple[str, int]]
    """Process → its name and the ticks of CPU time that it has used."""


def diagnose(
    pause: Callable[[], None],
    *,
    needed_memory_bytes: int = 0,
    roots: Roots | None = None,
    environ: Mapping[str, str] = os.environ,
    affinity: int | None = None,
    own_processes: Iterable[int] = (),
) -> tuple[Finding, ...]:
    """One finding for each thing that can be looked at, in a fixed order.

    Args:
        pause: Returns after a second or so: what is counted is counted in between.
        needed_memory_bytes: What the workers of a usual run take together.
        roots: Where the kernel's files are.
        environ: The user's own environment variables.
        affinity: Cores that this process may run on; none: ask the kernel.
        own_processes: Not counted as somebody else's.
    """
    roots = roots or Roots()
    if affinity is None:
        affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    before = _counters(roots.proc)
    pause()
    after = _counters(roots.proc)
    return (
        _cores(roots, affinity),
        _governor(roots.sys),
        _turbo(roots.sys),
        _load(roots.proc, affinity or 1),
        _steal(before, after),
        _huge_pages(roots.sys),
        _variables(environ),
        _memory(roots, needed_memory_bytes),
        _swap(roots.proc, before, after),
        _others(before, after, set(own_processes)),
    )


def _cores(roots: Roots, affinity: int) -> Finding:
    online = len(re.findall(r"^cpu\d+ ", _text(roots.proc / "stat"), re.MULTILINE))
    quota = cpu_quota_cores(roots.proc / "self/cgroup", roots.sys / "fs/cgroup")
    seen = f"{affinity or online or 'an unknown number of'} of {online or 'unknown'} logical cores"
    if quota is not None:
        seen += f", and of their time a quota of {quota:g}"
    if _text(roots.sys / "devices/system/cpu/smt/active") == "1":
        seen += "; pairs of them share a core"
    if quota is not None and quota < affinity and quota != int(quota):
        advice = "workers get the whole part of a quota; give a whole number of cores"
        return Finding(what="cores", mark="look", seen=seen, advice=advice)
    if min(affinity, quota or affinity) == 1:
        advice = "whatever else runs takes turns with the worker: give this machine two cores"
        return Finding(what="cores", mark="look", seen=seen, advice=advice)
    return Finding(what="cores", mark="ok" if online else "unknown", seen=seen)


def _governor(sys: Path) -> Finding:
    paths = sorted((sys / "devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    names = sorted({name for path in paths if (name := _text(path))})
    if not names:
        return _hidden("frequency governor")
    if names == ["performance"]:
        return Finding(what="frequency governor", mark="ok", seen="performance")
    advice = "frequencies follow the load; as root: cpupower frequency-set -g performance"
    return Finding(what="frequency governor", mark="look", seen=", ".join(names), advice=advice)


def _turbo(sys: Path) -> Finding:
    cpu = sys / "devices/system/cpu"
    for name, off in (("intel_pstate/no_turbo", "1"), ("cpufreq/boost", "0")):
        value = _text(cpu / name)
        if value:
            if value == off:
                return Finding(what="turbo", mark="ok", seen="off")
            path = Path("/sys/devices/system/cpu") / name
            advice = f"it ends when the chip is warm; as root: echo {off} > {path}"
            return Finding(what="turbo", mark="look", seen="on", advice=advice)
    return _hidden("turbo")


def _load(proc: Path, cores: int) -> Finding:
    words = _text(proc / "loadavg").split()
    if not words:
        return _hidden("load")
    load = float(words[0])
    seen = f"{load:g} in the last minute"
    if load <= LOAD_LIMIT_PER_CORE * cores:
        return Finding(what="load", mark="ok", seen=seen)
    return Finding(what="load", mark="look", seen=seen, advice="wait until other work has ended")


def _steal(before: Counters, after: Counters) -> Finding:
    ticks = after.all_ticks - before.all_ticks
    if ticks <= 0:
        return _hidden("steal")
    share = (after.steal_ticks - before.steal_ticks) / ticks
    seen = f"{share:.1%} of the CPUs' time in a second"
    if share <= STEAL_LIMIT:
        return Finding(what="steal", mark="ok", seen=seen)
    advice = "other tenants of the host take CPU time: try another hour, or a machine of your own"
    return Finding(what="steal", mark="look", seen=seen, advice=advice)


def _huge_pages(sys: Path) -> Finding:
    what = "transparent huge pages"
    text = _text(sys / "kernel/mm/transparent_hugepage/enabled")
    chosen = re.search(r"\[(\w+)\]", text)
    if chosen is None:
        return _hidden(what)
    if chosen[1] != "never":
        return Finding(what=what, mark="ok", seen=chosen[1])
    advice = (
        "the workers' allocator asks for them in vain; as root: "
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
    )
    return Finding(what=what, mark="look", seen="never", advice=advice)


def _variables(environ: Mapping[str, str]) -> Finding:
    what = "variables of threads and memory"
    found = [name for name in sorted(environ) if _THREADS_AND_MEMORY.fullmatch(name)]
    handed_on = {one.name for one in VARIABLES if one.value is None}
    kept = [f"{name}={environ[name]}" for name in found if name in handed_on]
    if kept:
        advice = "workers get them from you: unset what this machine does not need"
        return Finding(what=what, mark="look", seen=", ".join(kept), advice=advice)
    seen = f"workers get none of your {', '.join(found)}" if found else "none set"
    return Finding(what=what, mark="ok", seen=seen)


def _memory(roots: Roots, needed_bytes: int) -> Finding:
    free = _meminfo(roots.proc).get("MemAvailable")
    if free is None:
        return _hidden("memory")
    left = memory_left_bytes(roots.proc / "self/cgroup", roots.sys / "fs/cgroup")
    free = free if left is None else min(free, left)
    seen = f"{_gib(free)} free, a usual run takes {_gib(needed_bytes)}"
    if free >= needed_bytes:
        return Finding(what="memory", mark="ok", seen=seen)
    advice = "close other programs, or compare fewer at once with -f"
    return Finding(what="memory", mark="look", seen=seen, advice=advice)


def _swap(proc: Path, before: Counters, after: Counters) -> Finding:
    known = _meminfo(proc)
    if "SwapTotal" not in known:
        return _hidden("swap")
    used = known["SwapTotal"] - known.get("SwapFree", known["SwapTotal"])
    pages = after.swapped_pages - before.swapped_pages
    if not known["SwapTotal"]:
        return Finding(what="swap", mark="ok", seen="there is none")
    seen = f"{_gib(used)} of {_gib(known['SwapTotal'])} used"
    if pages > 0:
        advice = "memory is short: close other programs"
        seen += f", {pages} pages moved in a second"
        return Finding(what="swap", mark="look", seen=seen, advice=advice)
    return Finding(what="swap", mark="ok", seen=f"{seen}, nothing moves")


def _others(before: Counters, after: Counters, own: set[int]) -> Finding:
    """Who else uses the CPU, the busiest first."""
    ticks = (after.all_ticks - before.all_ticks) / max(1, after.cores)
    if ticks <= 0 or not after.by_process:
        return _hidden("other programs")
    shares = {
        process: (used - before.by_process.get(process, (name, used))[1]) / ticks
        for process, (name, used) in after.by_process.items()
        if process not in own
    }
    busy = sorted((p for p in shares if shares[p] > BUSY_LIMIT), key=lambda p: -shares[p])
    if not busy:
        return Finding(what="other programs", mark="ok", seen="none that uses the CPU")
    named = [f"{after.by_process[p][0]} ({p}) {shares[p]:.0%}" for p in busy[:MOST_NAMED]]
    if len(busy) > MOST_NAMED:
        named.append(f"and {len(busy) - MOST_NAMED} more")
    advice = "each takes so much of a core: end them, or wait"
    return Finding(what="other programs", mark="look", seen=", ".join(named), advice=advice)


def _counters(proc: Path) -> Counters:
    """Those of now; zeros where the kernel shows nothing."""
    stat = _text(proc / "stat").splitlines()
    ticks = [int(word) for word in stat[0].split()[1:9]] if stat else []
    vmstat = dict(line.split(maxsplit=1) for line in _text(proc / "vmstat").splitlines())
    processes = {}
    for path in proc.glob("[0-9]*/stat"):
        # The name stands in brackets and may hold anything, other brackets too.
        head, _, tail = _text(path).rpartition(")")
        fields = tail.split()
        if len(fields) > 12:
            name = head.partition("(")[2]
            processes[int(path.parent.name)] = (name, int(fields[11]) + int(fields[12]))
    return Counters(
        all_ticks=sum(ticks),
        steal_ticks=ticks[7] if len(ticks) > 7 else 0,
        cores=sum(bool(re.match(r"cpu\d", line)) for line in stat),
        swapped_pages=sum(int(vmstat.get(name, 0)) for name in ("pswpin", "pswpout")),
        by_process=processes,
    )


def _meminfo(proc: Path) -> dict[str, int]:
    """Name → bytes."""
    found = re.findall(r"^(\w+): +(\d+) kB$", _text(proc / "meminfo"), re.MULTILINE)
    return {name: int(value) * 1024 for name, value in found}


def _hidden(what: str) -> Finding:
    return Finding(what=what, mark="unknown", seen="not shown by the kernel here")


def _gib(count_bytes: int) -> str:
    return f"{count_bytes / 2**30:.1f} GiB"


def _text(path: Path) -> str:
    """What the file says; nothing where it can't be read, as when its process has just ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
