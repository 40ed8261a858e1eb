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
