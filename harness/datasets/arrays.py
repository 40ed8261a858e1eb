"""A dataset as four arrays in one folder, and the digests by which results are told apart.

Workers read this module: it needs NumPy alone. Images of 224 pixels make files of 3 GB, so what is
done here with a prepared folder keeps little of it in memory at once.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_CHUNK_BYTES = 2**20
_LARGE_BYTES = 2**28
"""A smaller array may become resident as a whole: indexing it is several times as fast."""


class Arrays(NamedTuple):
    """Images (N, H, W) uint8 and labels (N,) uint8."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


@dataclass(frozen=True)
class ExamplesDigest:
    """Which examples there are, each as often as it is there, in whatever order."""

    examples: int
    total: int
    """The sum, modulo 2²⁵⁶, of each example's SHA-256: of its pixels, then of its label as int64,
    little-endian."""

    def __add__(self, other: ExamplesDigest) -> ExamplesDigest:
        """That of the examples of both."""
        return ExamplesDigest(self.examples + other.examples, (self.total + other.total) % 2**256)


def array_path(folder: Path, field: str) -> Path:
    """Where a prepared folder holds a field of ``Arrays``: ``train-images.npy`` and so on."""
    return folder / f"{field.replace('_', '-')}.npy"


def load_arrays(folder: Path) -> Arrays:
    """The arrays of a prepared folder, mapped into memory, read-only.

    Raises:
        OSError, EOFError, ValueError: a file is missing, cut short or no array.
    """
    return Arrays(*(np.load(array_path(folder, field), mmap_mode="r") for field in Arrays._fields))


def rows_at(array: NDArray[np.uint8], indices: NDArray[Any]) -> NDArray[np.uint8]:
    """``array[indices]``, copied; of an array of ``load_arrays`` little more becomes resident.

    ``indices``: of any shape, from 0 on. Where the array's file is large, its rows are read from
    the file: taken from the mapped array they would make all their pages the process's own, and
    the pages around them, until the whole array were.

    Raises:
        OSError, EOFError: the file is gone or has been cut short since it was mapped.
    """
    # A part of a mapped array does not know where in its file it begins: it goes the common way.
    mapped: object = array.base
    if (
        not isinstance(array, np.memmap)
        or not isinstance(mapped, mmap.mmap)
        or array.filename is None
        or array.nbytes < _LARGE_BYTES
    ):
        rows: NDArray[np.uint8] = array[indices]
        return rows
    taken = np.empty((*indices.shape, *array.shape[1:]), np.uint8)
    row_bytes = array[0].nbytes
    file = os.open(array.filename, os.O_RDONLY)
    try:
        for row, index in zip(taken.reshape(-1, row_bytes), indices.flat, strict=True):
            if os.preadv(file, [row.data], array.offset + int(index) * row_bytes) != row_bytes:
                raise EOFError(f"{array.filename} is cut short: row {index} is not there")
    finally:
        os.close(file)
    return taken


def digest_of_folder(folder: Path) -> str:
    """SHA-256 in hexadecimal of a prepared folder's arrays, as ``digest_of_dataset`` gives it.

    The files are read a piece at a time and not mapped: mapped pages count as the process's own.

    Raises:
        OSError, EOFError, ValueError: a file is missing, cut short or no array of uint8, C order.
    """
    digest = hashlib.sha256()
    piece = memoryview(bytearray(_CHUNK_BYTES))
    for field in Arrays._fields:
        path = array_path(folder, field)
        with path.open("rb", buffering=0) as file:
            left_bytes = math.prod(_read_header(file, path))
            while left_bytes:
                count = file.readinto(piece[: min(left_bytes, _CHUNK_BYTES)])
                if not count:
                    raise EOFError(f"{path} is cut short: {left_bytes} bytes are missing")
                digest.update(piece[:count])
                left_bytes -= count
    return digest.hexdigest()


def _read_header(file: IO[bytes], path: Path) -> tuple[int, ...]:
    """The shape of the array of uint8 in C order whose values follow in ``file``."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{path} has version {version} of NumPy's format, expected (1, 0)")
    header = np.lib.format.read_array_header_1_0(file)
    shape: tuple[int, ...] = header[0]
    if header[1:] != (False, np.dtype(np.uint8)):
        raise ValueError(f"{path} holds {header[2]}, expected uint8 in C order")
    return shape


def digest_of_dataset(
    train_images: NDArray[np.uint8],
    train_labels: NDArray[np.uint8],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.uint8],
) -> str:
    """SHA-256 in hexadecimal, as ``Hashes.data`` defines it: uint8, C order, one after another.

    Raises:
        ValueError: an array is not uint8.
    """
    arrays = Arrays(train_images, train_labels, test_images, test_labels)
    for field, array in arrays._asdict().items():
        if array.dtype != np.uint8:
            raise ValueError(f"{field} is {array.dtype}, expected uint8")
    return _digest(np.dtype(np.uint8), *arrays)


def digest_of_weights(weights: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 in hexadecimal, as ``Hashes.weights`` defines it: float32, little-endian.

    The mapping's own order counts: it is to be that of ``Model.weight_shapes``.
    """
    return _digest(np.dtype("<f4"), *weights.values())


def digest_of_order(order: NDArray[Any]) -> str:
    """SHA-256 in hexadecimal, as ``Hashes.order`` defines it: int64, little-endian.

    ``order``: indices in the order of training, in one dimension or epoch by epoch.
    """
    return _digest(np.dtype("<i8"), order)


def examples_digest(images: NDArray[np.uint8], labels: NDArray[Any]) -> ExamplesDigest:
    """That of images (N, H, W) and their labels (N,); of parts, ``+`` gives that of the whole.

    Raises:
        ValueError: ``images`` is not uint8, or there is not one label for each.
    """
    if images.dtype != np.uint8:
        raise ValueError(f"images are {images.dtype}, expected uint8")
    total = 0
    for image, label in zip(images, labels.astype("<i8"), strict=True):
        digest = hashlib.sha256(np.ascontiguousarray(image).data)
        digest.update(label.tobytes())
        total += int.from_bytes(digest.digest(), "little")
    return ExamplesDigest(len(labels), total % 2**256)


def _digest(dtype: np.dtype[Any], *arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.hexdigest()
