"""What the control groups of this process leave it of the machine (cgroup v2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def cpu_quota_cores(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> float | None:
    """CPU seconds per second that this process may use; nothing where there is no limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, ``cpu.max``: "$QUOTA $PERIOD" or "max".
    """
    quotas = []
    for folder in _groups(membership, mount):
        match _words(folder / "cpu.max"):
            case [quota, period] if quota.isdigit() and period.isdigit() and int(period):
                quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit_bytes(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int | None:
    """The most memory that this process's groups may use; nothing where there is no limit."""
    limits = [_number(folder / "memory.max") for folder in _groups(membership, mount)]
    return min((limit for limit in limits if limit is not None), default=None)


def memory_left_bytes(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int | None:
    """What is left below the limits; file pages that can be dropped count as left."""
    lefts = []
    for folder in _groups(membership, mount):
        limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")
        if limit is not None and used is not None:
            lefts.append(max(0, limit - used + _droppable_bytes(folder)))
    return min(lefts, default=None)


def _groups(membership: Path, mount: Path) -> Iterator[Path]:
    """The folder of this process's group and of every group above: each may set a limit."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::"):
            group = mount / line[3:].lstrip("/")
            yield group
            yield from (parent for parent in group.parents if parent.is_relative_to(mount))


def _droppable_bytes(folder: Path) -> int:
    words = _words(folder / "memory.stat")
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    return int(pairs.get("inactive_file", 0))


def _number(path: Path) -> int | None:
    match _words(path):
        case [word] if word.isdigit():
            return int(word)
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
