"""Machines made of files: what is seen there, and what is to be done about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.analysis import flags
from harness.environments import diagnosis
from harness.environments.diagnosis import Finding, Roots, diagnose

Diagnose = Callable[..., dict[str, Finding]]

GIB_IN_KB = 2**20
QUIET = {
    "proc/stat": "cpu  1000 0 0 9000 0 0 0 0 0 0\ncpu0 500 0 0 4500\ncpu1 500 0 0 4500\nbtime 1\n",
    "proc/loadavg": "0.05 0.10 0.20 1/100 4242\n",
    "proc/meminfo": (
        f"MemTotal:       {16 * GIB_IN_KB} kB\nMemAvailable:   {12 * GIB_IN_KB} kB\n"
        f"SwapTotal:      {2 * GIB_IN_KB} kB\nSwapFree:       {2 * GIB_IN_KB} kB\n"
    ),
    "proc/vmstat": "pswpin 10\npswpout 20\n",
    "proc/7/stat": "7 (init) S 0 7 7 0 -1 0 0 0 0 0 100 50 0 0 20 0 1 0 1",
    "sys/devices/system/cpu/smt/active": "0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
}
SECOND = {
    "proc/stat": "cpu  1010 0 0 9190 0 0 0 0 0 0\ncpu0 505 0 0 4595\ncpu1 505 0 0 4595\nbtime 1\n"
}
"""What has changed after 100 ticks on each of two cores."""


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def machine(tmp_path: Path) -> Diagnose:
    """A quiet machine with two cores, but for ``at_first`` and what is there ``afterwards``."""

    def make(
        at_first: Mapping[str, str] = {}, afterwards: Mapping[str, str] = {}, **how: Any
    ) -> dict[str, Finding]:
        write(tmp_path, {**QUIET, **at_first})
        found = diagnose(
            lambda: write(tmp_path, {**SECOND, **afterwards}),
            roots=Roots(tmp_path / "proc", tmp_path / "sys"),
            **{"environ": {}, "affinity": 2, "needed_memory_bytes": 4 * 2**30, **how},
        )
        return {finding.what: finding for finding in found}

    return make


def test_a_quiet_machine_is_well(machine):
    found = machine()
    assert {one.mark for one in found.values()} == {"ok"}
    assert {one.advice for one in found.values()} == {""}
    assert found["cores"].seen == "2 of 2 logical cores"
    assert found["memory"].seen == "12.0 GiB free, a usual run takes 4.0 GiB"
    assert found["other programs"].seen == "none that uses the CPU"


def test_where_the_kernel_shows_nothing_that_is_said(tmp_path):
    found = diagnose(
        lambda: None,
        roots=Roots(tmp_path / "proc", tmp_path / "sys"),
        environ={},
        affinity=2,
        needed_memory_bytes=2**30,
    )
    unknown = [one.what for one in found if one.mark == "unknown"]
    assert len(unknown) == len(found) - 1, "environment variables are known without the kernel"
    assert not [one for one in found if one.mark == "look"]


@pytest.mark.parametrize(
    ("what", "at_first", "afterwards", "how", "seen"),
    [
        ("cores", {}, {}, {"affinity": 1}, "1 of 2 logical cores"),
        (
            "cores",
            {"proc/self/cgroup": "0::/box\n", "sys/fs/cgroup/box/cpu.max": "150000 100000\n"},
            {},
            {},
            "2 of 2 logical cores, and of their time a quota of 1.5",
        ),
        (
            "frequency governor",
            {"sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "powersave\n"},
            {},
            {},
            "performance, powersave",
        ),
        ("turbo", {"sys/devices/system/cpu/intel_pstate/no_turbo": "0\n"}, {}, {}, "on"),
        ("load", {"proc/loadavg": "1.50 1 1 2/100 4242\n"}, {}, {}, "1.5 in the last minute"),
        (
            "steal",
            {},
            {"proc/stat": "cpu  1010 0 0 9180 0 0 0 10 0 0\ncpu0 1\ncpu1 1\n"},
            {},
            "5.0% of the CPUs' time in a second",
        ),
        (
            "transparent huge pages",
            {"sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n"},
            {},
            {},
            "never",
        ),
        (
            "variables of threads and memory",
            {},
            {},
            {"environ": {"OPENBLAS_CORETYPE": "Haswell", "HOME": "/root"}},
            "OPENBLAS_CORETYPE=Haswell",
        ),
        (
            "memory",
            {},
            {},
            {"needed_memory_bytes": 13 * 2**30},
            "12.0 GiB free, a usual run takes 13.0 GiB",
        ),
        (
            "memory",
            {
                "proc/self/cgroup": "0::/box\n",
                "sys/fs/cgroup/box/memory.max": f"{2 * 2**30}\n",
                "sys/fs/cgroup/box/memory.current": f"{2**30}\n",
            },
            {},
            {},
            "1.0 GiB free, a usual run takes 4.0 GiB",
        ),
        (
            "swap",
            {},
            {"proc/vmstat": "pswpin 30\npswpout 20\n"},
            {},
            "0.0 GiB of 2.0 GiB used, 20 pages moved in a second",
        ),
        (
            "other programs",
            {},
            {
                "proc/7/stat": "7 (we (ird)) S 0 7 7 0 -1 0 0 0 0 0 150 90 0 0 20 0 1 0 1",
                "proc/9/stat": "9 (idle) S 0 9 9 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 1",
            },
            {},
            "we (ird) (7) 90%",
        ),
    ],
)
def test_what_disturbs_is_marked_with_what_to_do(machine, what, at_first, afterwards, how, seen):
    found = machine(at_first, afterwards, **how)
    assert found[what].seen == seen
    assert found[what].mark == "look"
    assert found[what].advice
    assert {one.what for one in found.values() if one.mark == "look"} == {what}


def test_turbo_may_be_shown_elsewhere(machine, tmp_path):
    write(tmp_path, {"sys/devices/system/cpu/cpufreq/boost": "1\n"})
    path = tmp_path / "sys/devices/system/cpu/intel_pstate/no_turbo"
    found = machine({"sys/devices/system/cpu/intel_pstate/no_turbo": ""})
    assert path.read_text() == ""
    assert found["turbo"].advice.endswith("echo 0 > /sys/devices/system/cpu/cpufreq/boost")


def test_variables_that_workers_do_not_get_are_no_matter(machine):
    [seen] = [
        one.seen
        for one in machine(environ={"OMP_NUM_THREADS": "1", "SHELL": "/bin/sh"}).values()
        if one.what.startswith("variables")
    ]
    assert seen == "workers get none of your OMP_NUM_THREADS"


def test_our_own_processes_are_not_others(machine):
    busy = {"proc/7/stat": "7 (ours) S 0 7 7 0 -1 0 0 0 0 0 190 50 0 0 20 0 1 0 1"}
    assert machine(afterwards=busy, own_processes=[7])["other programs"].mark == "ok"


def test_without_swap_there_is_nothing_to_watch(machine):
    memory = f"MemAvailable: {12 * GIB_IN_KB} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
    assert machine({"proc/meminfo": memory})["swap"].seen == "there is none"


def test_steal_is_looked_at_by_the_rule_that_flags_blocks():
    assert diagnosis.STEAL_LIMIT == flags.STEAL_LIMIT


def test_this_machine_can_be_looked_at():
    found = diagnose(lambda: time.sleep(0.01))
    assert len({one.what for one in found}) == len(found) == 10
    assert all(bool(one.advice) == (one.mark == "look") for one in found)
