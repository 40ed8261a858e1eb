"""Folders that live no longer than who made them, whatever ends that.

All stand in one place, each with a lock that the operating system frees when its process dies. Who
makes the next one removes those whose lock is free.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness import paths

LOCK = ".lock"


def place() -> Path:
    """Where they stand: in the user's ``TMPDIR``, where one is set, else in the user's cache."""
    asked = os.environ.get("TMPDIR")
    if asked:
        return Path(asked).absolute() / f"levelfield-{os.getuid()}"
    return paths.user_cache() / "temporary"


LONGEST_FOR_SOCKETS = 108 - len("/worker-12345678/files/pymp-12345678/listener-12345678") - 1
"""Of a path that holds folders of workers: the name of a Unix socket has 108 bytes (unix(7)), and
Python's multiprocessing puts one there."""


@contextlib.contextmanager
def temporary_folder(what: str, *, for_sockets: bool = False) -> Iterator[Path]:
    """An empty folder, named after ``what`` it is for; it is gone afterwards.

    What killed processes left of theirs is gone before. ``for_sockets``: its path is short enough
    for sockets in it.
    """
    parent = place()
    if for_sockets and len(os.fsencode(parent)) > LONGEST_FOR_SOCKETS:
        parent = Path("/tmp") / f"levelfield-{os.getuid()}"
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if parent.stat().st_uid != os.getuid():
            raise PermissionError(f"{parent} is another user's")
    except OSError:
        # Nothing is left of it but by a kill, and then what removes all temporary files.
        with tempfile.TemporaryDirectory(prefix=f"levelfield-{what}-") as name:
            yield Path(name)
        return
    remove_left_ones(parent)
    folder, lock = _new_folder(parent, what)
    try:
        inside = folder / "files"
        inside.mkdir()
        yield inside
    finally:
        # The folder first: one that is half removed is nobody else's to look at.
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _new_folder(parent: Path, what: str) -> tuple[Path, FileLock]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{what}-", dir=parent))
        lock = FileLock(folder / LOCK)
        # Before it was locked it looked like one that was left, and may be gone.
        with contextlib.suppress(OSError, Timeout):
            lock.acquire(timeout=0)
            if (folder / LOCK).exists():
                return folder, lock
            lock.release()


def remove_left_ones(parent: Path) -> None:
    """Nothing is left in ``parent`` of processes that are gone."""
    with contextlib.suppress(OSError):
        for folder in list(parent.iterdir()):
            lock = FileLock(folder / LOCK)
            with contextlib.suppress(OSError, Timeout):
                lock.acquire(timeout=0)
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
