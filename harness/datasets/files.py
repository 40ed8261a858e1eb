"""A dataset as its publisher ships it: four IDX files in a folder, gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.datasets.arrays import Arrays
from harness.datasets.catalogue import Entry
from harness.datasets.idx import read_idx
from harness.errors import DataError

FILE_NAMES: Mapping[str, str] = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
"""Field of ``Arrays`` → name of the decompressed file, the same in all sets of MNIST's form."""

_GZIP_MAGIC = b"\x1f\x8b"
_PIXELS = 28 * 28
_HEADER_BYTES = 2**10
"""More than IDX takes."""


def missing_files(folder: Path) -> list[str]:
    """Names, with ``.gz``, of the files that ``folder`` holds neither gzipped nor decompressed."""
    return [f"{name}.gz" for name in FILE_NAMES.values() if _path(folder, name) is None]


def most_bytes(entry: Entry) -> int:
    """What no file of the dataset has more of, decompressed, nor what it was split of."""
    return (entry.train_examples + entry.test_examples) * _PIXELS + _HEADER_BYTES


def read_files(folder: Path, entry: Entry) -> Arrays:
    """The dataset in ``folder``, its every byte verified.

    Raises:
        DataError: a file is missing, can't be read or holds other bytes than it must.
    """
    missing = missing_files(folder)
    if missing:
        there = "no such folder" if not folder.is_dir() else f"{4 - len(missing)} of 4 files"
        raise DataError(
            f"{entry.name} is not in {folder}: got {there}, expected {', '.join(missing)}: "
            "put the files there"
        )
    expected = msgspec.structs.asdict(entry.files)
    arrays = {}
    for field, name in FILE_NAMES.items():
        path = _path(folder, name)
        assert path is not None
        content = verified_content(path, expected[field], most_bytes(entry))
        arrays[field] = read_idx(content, 3 if field.endswith("images") else 1, str(path))
    return _split(Arrays(**arrays), entry) if entry.split_of else Arrays(**arrays)


def _split(whole: Arrays, entry: Entry) -> Arrays:
    """The first and the last training examples of ``whole``, as many as ``entry`` says."""
    train, test = slice(entry.train_examples), slice(-entry.test_examples, None)
    images, labels = whole.train_images, whole.train_labels
    return Arrays(images[train], labels[train], images[test], labels[test])


def verified_content(path: Path, sha256: str, most: int) -> bytes:
    """The decompressed bytes of ``path``, which have the SHA-256 ``sha256``.

    No more than ``most`` bytes are read, whatever a few compressed ones would come to.

    Raises:
        DataError: they have another, are more, or the file can't be read or decompressed.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            content = (gzip.GzipFile(fileobj=file) if zipped else file).read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}: get the file anew") from None
    if len(content) > most:
        raise DataError(
            f"{path} goes on after {most} bytes, decompressed, which is more than the dataset has: "
            "get the file anew"
        )
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise DataError(
            f"{path} holds other bytes: got SHA-256 {got[:16]}… of the decompressed file, "
            f"expected {sha256[:16]}…: get the file anew"
        )
    return content


def _path(folder: Path, name: str) -> Path | None:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    return None
