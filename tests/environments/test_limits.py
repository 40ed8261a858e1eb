from __future__ import annotations

from pathlib import Path

import pytest

from harness.environments.limits import cpu_quota_cores, memory_left_bytes, memory_limit_bytes

GIB = 2**30


@pytest.fixture
def groups(tmp_path: Path) -> tuple[Path, Path]:
    """A process in the group ``outer/inner``: its membership file, and where groups are mounted."""
    mount = tmp_path / "cgroup"
    (mount / "outer" / "inner").mkdir(parents=True)
    membership = tmp_path / "membership"
    membership.write_text("9:name=systemd:/elsewhere\n0::/outer/inner\n")
    return membership, mount


def test_without_groups_or_limits_there_is_none(groups, tmp_path) -> None:
    nowhere = (tmp_path / "missing", tmp_path / "missing")
    for place in (groups, nowhere):
        assert cpu_quota_cores(*place) is None
        assert memory_limit_bytes(*place) is None
        assert memory_left_bytes(*place) is None


def test_max_is_no_limit(groups) -> None:
    _, mount = groups
    (mount / "outer" / "cpu.max").write_text("max 100000\n")
    (mount / "outer" / "memory.max").write_text("max\n")
    assert cpu_quota_cores(*groups) is None
    assert memory_limit_bytes(*groups) is None


def test_the_tightest_group_decides(groups) -> None:
    _, mount = groups
    (mount / "outer" / "cpu.max").write_text("150000 100000\n")
    (mount / "outer" / "inner" / "cpu.max").write_text("800000 100000\n")
    (mount / "memory.max").write_text(f"{8 * GIB}\n")
    (mount / "outer" / "inner" / "memory.max").write_text(f"{4 * GIB}\n")
    assert cpu_quota_cores(*groups) == 1.5
    assert memory_limit_bytes(*groups) == 4 * GIB


def test_pages_that_can_be_dropped_are_left(groups) -> None:
    _, mount = groups
    inner = mount / "outer" / "inner"
    (inner / "memory.max").write_text(f"{4 * GIB}\n")
    (inner / "memory.current").write_text(f"{3 * GIB}\n")
    assert memory_left_bytes(*groups) == GIB
    (inner / "memory.stat").write_text(f"anon {GIB}\ninactive_file {2 * GIB}\nslab 0\n")
    assert memory_left_bytes(*groups) == 3 * GIB


def test_a_group_over_its_limit_has_nothing_left(groups) -> None:
    _, mount = groups
    (mount / "outer" / "memory.max").write_text(f"{GIB}\n")
    (mount / "outer" / "memory.current").write_text(f"{2 * GIB}\n")
    assert memory_left_bytes(*groups) == 0


@pytest.fixture(params=["seen from the host", "seen from within"])
def first_version(request, tmp_path: Path) -> tuple[tuple[Path, Path], Path, Path]:
    """A container of version 1: membership and mount, its group for the CPU, and for memory.

    From within its own group is the top, though its membership names the path on the host.
    """
    mount = tmp_path / "cgroup"
    inner = "docker/abc" if request.param == "seen from the host" else ""
    cpu, memory = mount / "cpu,cpuacct" / inner, mount / "memory" / inner
    for folder in (cpu, memory):
        folder.mkdir(parents=True)
    (mount / "cpu").symlink_to("cpu,cpuacct")
    membership = tmp_path / "membership"
    membership.write_text("11:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n")
    (cpu / "cpu.cfs_period_us").write_text("100000\n")
    (memory / "memory.usage_in_bytes").write_text(f"{GIB}\n")
    return (membership, mount), cpu, memory


def test_the_first_version_s_limits_are_seen(first_version) -> None:
    groups, cpu, memory = first_version
    (cpu / "cpu.cfs_quota_us").write_text("50000\n")
    (memory / "memory.limit_in_bytes").write_text(f"{2 * GIB}\n")
    (memory / "memory.stat").write_text(f"inactive_file 0\ntotal_inactive_file {GIB // 2}\n")
    assert cpu_quota_cores(*groups) == 0.5
    assert memory_limit_bytes(*groups) == 2 * GIB
    assert memory_left_bytes(*groups) == 1.5 * GIB


def test_the_first_version_s_words_for_no_limit(first_version) -> None:
    groups, cpu, memory = first_version
    (cpu / "cpu.cfs_quota_us").write_text("-1\n")
    (memory / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert cpu_quota_cores(*groups) is None
    assert memory_limit_bytes(*groups) is None
    assert memory_left_bytes(*groups) is None


def test_each_kind_is_looked_for_in_its_own_version(first_version) -> None:
    """Hybrid: memory in the one tree of version 2, the CPU in version 1."""
    (membership, mount), cpu, _ = first_version
    (cpu / "cpu.cfs_quota_us").write_text("150000\n")
    membership.write_text("4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n")
    (mount / "docker" / "abc").mkdir(parents=True)
    (mount / "docker" / "abc" / "memory.max").write_text(f"{3 * GIB}\n")
    assert cpu_quota_cores(membership, mount) == 1.5
    assert memory_limit_bytes(membership, mount) == 3 * GIB
