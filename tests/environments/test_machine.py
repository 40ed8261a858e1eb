from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil
import pytest

from harness.environments import machine
from harness.environments.machine import (
    available_memory_bytes,
    default_threads,
    inspect_machine,
)


def test_this_machine_is_described() -> None:
    found = inspect_machine()
    assert found.cpu
    assert found.cores == default_threads() >= 1
    assert 0 < found.memory_bytes <= psutil.virtual_memory().total
    assert found.kernel == platform.release()
    assert found.system
    assert len(found.fingerprint) == 12
    assert inspect_machine().fingerprint == found.fingerprint


def test_gpus_are_named_where_there_are_any(monkeypatch) -> None:
    monkeypatch.setattr(machine, "gpu_names", lambda: ("2 × NVIDIA X, NVIDIA Y", "580.1"))
    found = inspect_machine()
    assert (found.gpu, found.driver) == ("2 × NVIDIA X, NVIDIA Y", "580.1")


@pytest.mark.parametrize(
    ("allowed", "quota", "threads"),
    [(8, None, 8), (8, 2.5, 2), (2, 6.0, 2), (4, 0.5, 1), (1, None, 1)],
)
def test_affinity_and_quota_both_limit_threads(monkeypatch, allowed, quota, threads) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)), raising=False)
    monkeypatch.setattr(machine, "cpu_quota_cores", lambda: quota)
    assert default_threads() == threads


def test_a_group_limits_memory(monkeypatch) -> None:
    monkeypatch.setattr(machine, "memory_limit_bytes", lambda: 2**20)
    monkeypatch.setattr(machine, "memory_left_bytes", lambda: 2**19)
    assert inspect_machine().memory_bytes == 2**20
    assert available_memory_bytes() == 2**19


def test_free_memory_is_no_more_than_there_is() -> None:
    assert 0 < available_memory_bytes() <= psutil.virtual_memory().total


def test_the_processor_is_named_even_where_the_kernel_does_not(tmp_path: Path) -> None:
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor\t: 0\nmodel name\t: Example CPU @ 2 GHz\n")
    assert machine._cpu_model(listing) == "Example CPU @ 2 GHz"
    assert machine._cpu_model(tmp_path / "missing")
