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


def missing_files(folder: Path) -> list[str]:
    """Names, with ``.gz``, of the files that ``folder`` holds neither gzipped nor decompressed."""
    return [f"{name}.gz" for name in FILE_NAMES.values() if _path(folder, name) is None]


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
        content = verified_content(path, expected[field])
        arrays[field] = read_idx(content, 3 if field.endswith("images") else 1, str(path))
    return _split(Arrays(**arrays), entry) if entry.split_of else Arrays(**arrays)


def _split(whole: Arrays, entry: Entry) -> Arrays:
    """The first and the last training examples of ``whole``, as many as ``entry`` says."""
    train, test = slice(entry.train_examples), slice(-entry.test_examples, None)
    images, labels = whole.train_images, whole.train_labels
    return Arrays(images[train], labels[train], images[test], labels[test])


def verified_content(path: Path, sha256: str) -> bytes:
    """The decompressed bytes of ``path``, which have the SHA-256 ``sha256``.

    Raises:
        DataError: they have another, or the file can't be read or decompressed.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}: get the file anew") from None
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
