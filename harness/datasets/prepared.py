"""The user cache: each dataset's arrays, in a folder named after their digest.

A folder gets its name only when it is complete and on the disk, so one that was being made when
its maker was killed is never taken for a dataset. What has the name is hashed before every use.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import numpy as np

from harness import paths
from harness.datasets.arrays import Arrays, array_path, digest_of_dataset, load_arrays
from harness.datasets.catalogue import Entry
from harness.datasets.records import Progress, State
from harness.errors import DataError


def cache_folder(entry: Entry) -> Path:
    """Everything that the user cache holds of a dataset lies in here."""
    return paths.user_cache() / "datasets" / entry.name


def prepared_folder(entry: Entry) -> Path:
    """Where the dataset's arrays are, or will be."""
    return cache_folder(entry) / entry.sha256[:16]


def download_folder(entry: Entry) -> Path:
    """Where the dataset's files are while they are being downloaded."""
    return cache_folder(entry) / "download"


def prepared_state(entry: Entry) -> State:
    """Whether the prepared folder is there and holds what it must, by its full digest."""
    folder = prepared_folder(entry)
    if not folder.exists():
        return "missing"
    try:
        digest = digest_of_dataset(*load_arrays(folder))
    except (OSError, EOFError, ValueError):
        return "damaged"
    return "valid" if digest == entry.sha256 else "damaged"


@contextmanager
def locked(entry: Entry, progress: Progress) -> Iterator[None]:
    """No other process changes the dataset's part of the cache meanwhile.

    The operating system frees the lock of a process that dies.
    """
    folder = cache_folder(entry)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        progress.note(f"Another process is getting {entry.name}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def discard(folder: Path) -> None:
    """``folder`` is gone; its name goes first, so no half of it is ever seen under it."""
    doomed = _emptied(folder.parent / ".discarded")
    if folder.exists():
        folder.rename(doomed)
        shutil.rmtree(doomed)


def prepare(entry: Entry, arrays: Arrays) -> Path:
    """The prepared folder holds ``arrays``; the caller holds the lock.

    Raises:
        DataError: the catalogue names another digest than its files' own hashes lead to.
    """
    digest = digest_of_dataset(*arrays)
    if digest != entry.sha256:
        raise DataError(
            f"The catalogue contradicts itself: {entry.name} has digest {digest}, "
            f"expected {entry.sha256}: mend sha256 in benchmarks/datasets.toml"
        )
    folder = prepared_folder(entry)
    making = _emptied(folder.parent / ".making")
    making.mkdir()
    for field, array in arrays._asdict().items():
        with array_path(making, field).open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
    discard(folder)
    making.rename(folder)
    return folder


def _emptied(path: Path) -> Path:
    """Nothing has that name: what a killed process left there is gone."""
    if path.exists():
        shutil.rmtree(path)
    return path
