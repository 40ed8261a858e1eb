"""What the control groups of this process leave it of the machine, in both versions of them.

Version 2 has one tree of groups, version 1 one for each kind of limit; a machine has either, or
some kinds in one and some in the other.
https://docs.kernel.org/admin-guide/cgroup-v2.html
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
https://docs.kernel.org/scheduler/sched-bwc.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_NO_LIMIT_BYTES = 2**60
"""Version 1 says so large a number where there is no limit."""


def cpu_quota_cores(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> float | None:
    """CPU seconds per second that this process may use; nothing where there is no limit."""
    quotas = []
    for folder in _groups(membership, mount, "cpu"):
        # Version 2: "$QUOTA $PERIOD" or "max". Version 1: a file for each, -1 for no limit.
        words = _words(folder / "cpu.max")
        if not words:
            words = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        match words:
            case [quota, period] if quota.isdigit() and period.isdigit() and int(period):
                quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit_bytes(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int | None:
    """The most memory that this process's groups may use; nothing where there is no limit."""
    limits = [_memory_limit(folder) for folder in _groups(membership, mount, "memory")]
    return min((limit for limit in limits if limit is not None), default=None)


def memory_left_bytes(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int | None:
    """What is left below the limits; file pages that can be dropped count as left."""
    lefts = []
    for folder in _groups(membership, mount, "memory"):
        limit = _memory_limit(folder)
        used = _number(folder, "memory.current", "memory.usage_in_bytes")
        if limit is not None and used is not None:
            lefts.append(max(0, limit - used + _droppable_bytes(folder)))
    return min(lefts, default=None)


def _groups(membership: Path, mount: Path, kind: str) -> Iterator[Path]:
    """The folder of this process's group and of every group above: each may set a limit.

    A container may see its group's folder as the top: then the others are not there.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        match line.split(":", 2):
            case ["0", "", path]:
                top = mount
            case [_, kinds, path] if kind in kinds.split(","):
                # The kinds of one tree share a folder; each has a link to it, as a rule.
                top = next((one for one in (mount / kind, mount / kinds) if one.is_dir()), mount)
            case _:
                continue
        group = top / path.lstrip("/")
        yield group
        yield from (parent for parent in group.parents if parent.is_relative_to(top))


def _memory_limit(folder: Path) -> int | None:
    limit = _number(folder, "memory.max", "memory.limit_in_bytes")
    return limit if limit is None or limit < _NO_LIMIT_BYTES else None


def _droppable_bytes(folder: Path) -> int:
    words = _words(folder / "memory.stat")
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    # Version 1 counts the groups below under a name of its own.
    return int(pairs.get("total_inactive_file", pairs.get("inactive_file", 0)))


def _number(folder: Path, *names: str) -> int | None:
    """The number in the first of these files that there is."""
    for name in names:
        match _words(folder / name):
            case [word] if word.isdigit():
                return int(word)
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
