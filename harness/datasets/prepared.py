"""The user cache: each dataset's arrays, in a folder named after their digest.

A folder gets its name only when it is complete and on the disk, so one that was being made when
its maker was killed is never taken for a dataset. What has the name is hashed before every use.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import filelock
import msgspec
import numpy as np
from numpy.typing import NDArray

from harness import paths
from harness.datasets.arrays import Arrays, array_path, digest_of_dataset, digest_of_folder
from harness.datasets.catalogue import Entry
from harness.datasets.records import Progress, State
from harness.errors import DataError

_RECORD = "sha256"
"""Name of the file beside the arrays that holds their digest."""


def cache_folder(entry: Entry) -> Path:
    """Everything that the user cache holds of a dataset lies in here."""
    return paths.user_cache() / "datasets" / entry.name


def prepared_folder(entry: Entry) -> Path:
    """Where the dataset's arrays are, or will be."""
    sha256 = entry.sha256
    if sha256 is None:
        # Named after what the digest follows from: another entry must not find this one's folder.
        parts = (*msgspec.structs.astuple(entry.files), entry.train_examples, entry.test_examples)
        sha256 = hashlib.sha256(repr(parts).encode()).hexdigest()
    return cache_folder(entry) / sha256[:16]


def download_folder(entry: Entry) -> Path:
    """Where the dataset's files are while they are being downloaded."""
    return cache_folder(entry) / "download"


def prepared_state(entry: Entry) -> State:
    """Whether the prepared folder is there and holds what it must, by its full digest.

    Where the catalogue does not name that, it is the one that the verified files led to.
    """
    return folder_state(prepared_folder(entry), entry.sha256)


def folder_state(folder: Path, sha256: str | None) -> State:
    """Whether ``folder`` is there and its arrays have that digest, or else the one it records."""
    if not folder.exists():
        return "missing"
    try:
        expected = sha256 or recorded_digest(folder)
        return "valid" if digest_of_folder(folder) == expected else "damaged"
    except (OSError, EOFError, ValueError):
        return "damaged"


def recorded_digest(folder: Path) -> str:
    """The digest that the arrays in ``folder`` had when they were made.

    Raises:
        OSError, ValueError: it is not there, or can't be read.
    """
    return (folder / _RECORD).read_text(encoding="ascii").strip()


@contextmanager
def locked(folder: Path, name: str, progress: Progress) -> Iterator[None]:
    """No other process changes ``folder``, the cache's part for the dataset ``name``, meanwhile.

    The operating system frees the lock of a process that dies.

    Raises:
        DataError: the cache can't be written, now or in what is done under the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            progress.note(f"Another process is getting {name}: waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except OSError as error:
        why = error.strerror or error
        raise DataError(
            f"The data cache {folder} can't be written: {why}: make room there, "
            "or set XDG_CACHE_HOME to a folder that you can write"
        ) from None


def discard(folder: Path) -> None:
    """``folder`` is gone; its name goes first, so no half of it is ever seen under it."""
    doomed = _emptied(folder.parent / ".discarded")
    if folder.exists():
        folder.rename(doomed)
        shutil.rmtree(doomed)


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which then has the name ``folder``; the caller holds the lock.

    Whoever fills it leaves files that are on the disk. Where that fails, nothing has changed.
    """
    started = _emptied(folder.parent / ".making")
    started.mkdir()
    try:
        yield started
    except BaseException:
        shutil.rmtree(started)
        raise
    discard(folder)
    started.rename(folder)


def write_array(folder: Path, field: str, array: NDArray[np.uint8]) -> None:
    """``folder`` holds ``array`` as that field, on the disk."""
    with array_path(folder, field).open("wb") as file:
        np.save(file, array)
        flush(file)


def write_digest(folder: Path, digest: str) -> None:
    """``folder`` records ``digest`` as that of its arrays."""
    with (folder / _RECORD).open("w", encoding="ascii") as file:
        file.write(f"{digest}\n")
        flush(file)


def flush(file: IO[Any]) -> None:
    """What was written to ``file`` is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def prepare(entry: Entry, arrays: Arrays) -> Path:
    """The prepared folder holds ``arrays``; the caller holds the lock.

    Raises:
        DataError: the catalogue names another digest, or other numbers of examples, than its files'
            own hashes lead to.
    """
    digest = digest_of_dataset(*arrays)
    if entry.sha256 not in (None, digest):
        raise DataError(
            f"The catalogue contradicts itself: {entry.name} has digest {digest}, "
            f"expected {entry.sha256}: mend sha256 in benchmarks/datasets.toml"
        )
    got, expected = _examples(arrays), (entry.train_examples, entry.test_examples)
    if got != expected:
        raise DataError(
            f"The catalogue contradicts itself: {entry.name} has {got[0]} + {got[1]} examples, "
            f"expected {expected[0]} + {expected[1]}: mend them in benchmarks/datasets.toml"
        )
    folder = prepared_folder(entry)
    with making(folder) as started:
        for field, array in arrays._asdict().items():
            write_array(started, field, array)
        write_digest(started, digest)
    return folder


def _examples(arrays: Arrays) -> tuple[int, int]:
    return len(arrays.train_labels), len(arrays.test_labels)


def _emptied(path: Path) -> Path:
    """Nothing has that name: what a killed process left there is gone."""
    if path.exists():
        shutil.rmtree(path)
    return path
