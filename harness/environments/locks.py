"""One run at a time makes or removes an environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.environments.records import Progress

_WAITING_SECONDS = 15.0
"""How often a run that waits for another says so again."""


@contextmanager
def held_lock(folder: Path, progress: Progress, doing: Callable[[], str]) -> Iterator[None]:
    """The lock of ``folder`` is held; while another run has it, ``progress`` hears of that.

    The system frees the lock of a process that was killed. The lock file stays: removed, it would
    leave two runs with a lock each.
    """
    lock = FileLock(_lock_path(folder))
    timeout_seconds = 0.0
    while not lock.is_locked:
        try:
            lock.acquire(timeout=timeout_seconds)
        except Timeout:
            at = doing()
            progress(
                f"waiting for another run that is making {folder.name}{f' ({at})' if at else ''}"
            )
            timeout_seconds = _WAITING_SECONDS
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether another run is making or removing ``folder``."""
    path = _lock_path(folder)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False  # a cache that this user can't write: nobody makes anything for them there


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
