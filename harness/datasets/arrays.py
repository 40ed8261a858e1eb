"""A dataset as four arrays in one folder, and the digests by which results are told apart.

Workers read this module: it needs NumPy alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Arrays(NamedTuple):
    """Images (N, H, W) uint8 and labels (N,) uint8."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def array_path(folder: Path, field: str) -> Path:
    """Where a prepared folder holds a field of ``Arrays``: ``train-images.npy`` and so on."""
    return folder / f"{field.replace('_', '-')}.npy"


def load_arrays(folder: Path) -> Arrays:
    """The arrays of a prepared folder, mapped into memory, read-only.

    Raises:
        OSError, EOFError, ValueError: a file is missing, cut short or no array.
    """
    return Arrays(*(np.load(array_path(folder, field), mmap_mode="r") for field in Arrays._fields))


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

    The mapping's own order counts: it is to be that of ``Model.parameter_shapes``.
    """
    return _digest(np.dtype("<f4"), *weights.values())


def digest_of_order(order: NDArray[Any]) -> str:
    """SHA-256 in hexadecimal, as ``Hashes.order`` defines it: int64, little-endian.

    ``order``: indices in the order of training, in one dimension or epoch by epoch.
    """
    return _digest(np.dtype("<i8"), order)


def _digest(dtype: np.dtype[Any], *arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.hexdigest()
