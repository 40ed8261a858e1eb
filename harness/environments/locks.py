"""One run at a time makes or removes an environment, and none while another one uses it."""

from __future__ import annotations

import atexit
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from harness.environments.records import Progress

_WAITING_SECONDS = 15.0
"""How often a run that waits for another says so again."""
_uses: dict[Path, BaseFileLock] = {}
"""Folder → the lock by which this process says that it uses it."""


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


def hold_use(folder: Path) -> None:
    """Nobody removes ``folder`` as long as this process lives.

    Each user has a lock of its own, in a file beside the folder, which the system frees when the
    process ends, however it does. Where no file can be written nobody can remove the folder.
    """
    if folder in _uses:
        return
    path = folder.with_name(f"{folder.name}.use-{uuid.uuid4().hex[:12]}")
    lock = FileLock(path)
    try:
        # Whoever looks for users removes the file of a dead one, and may take this for one.
        while not path.exists():
            lock.release()
            lock.acquire()
    except OSError:
        return
    _uses[folder] = lock
    atexit.register(path.unlink, missing_ok=True)
    with suppress(OSError):
        in_use_elsewhere(folder)  # what was killed has left its file, and here it goes


def in_use_elsewhere(folder: Path) -> bool:
    """Whether another process holds a use of ``folder``; what dead ones left is gone."""
    own = _uses.get(folder)
    found = False
    for path in folder.parent.glob(f"{folder.name}.use-*"):
        if own is not None and path == Path(own.lock_file):
            continue
        try:
            with FileLock(path, timeout=0):
                path.unlink(missing_ok=True)
        except Timeout:
            found = True
    return found


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
