"""Images in the size that a model takes: made once, the same on every machine, kept in the cache.

An output pixel's centre, i + ½, lies at (i + ½) · n ÷ m of the n input pixels that m output pixels
are made from: at x = ((2i + 1) · n - m) ÷ 2m, counted from the centre of the first. The two
neighbours weigh in by their distance; beyond the outermost centres the outermost pixel counts
alone. So do Pillow and the frameworks' own transforms where they enlarge (bilinear, half-pixel
centres); Pillow rounds between the two directions too and so differs by one grey level here and
there.

All machines compute the same bytes because nothing is rounded before the end: x is a multiple of
1 ÷ d, d = 2m ÷ gcd(n, m) (16 from 28 to 224 pixels, 48 from 28 to 96), so the weights times d are
integers, and sums of at most 255 · d · d' are exact in the floating-point type that is used,
whatever order a library adds them in. Then follow one division, which IEEE 754 defines to the last
bit, and one rounding to the nearest integer, half to even.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.datasets.arrays import Arrays, array_path, load_arrays
from harness.datasets.catalogue import CATALOGUE, read_catalogue
from harness.datasets.prepared import (
    discard,
    flush,
    folder_state,
    locked,
    making,
    recorded_digest,
    write_array,
    write_digest,
)
from harness.datasets.records import Dataset, Progress
from harness.errors import DataError, UsageError

CHUNK_IMAGES = 256
"""How many are resized at once: about 70 MB of memory at 224 × 224 pixels."""

_EXACT_DIVISOR = 2**14
"""Up to here float32 is exact: sums stay below 2²², and no quotient below 256 that is not itself a
half is rounded to one, being at least 1 ÷ 2¹⁵ away with steps of 1 ÷ 2¹⁶."""


def resized_dataset(
    dataset: Dataset, size: tuple[int, int], progress: Progress, *, catalogue: Path = CATALOGUE
) -> Dataset:
    """``dataset`` with all images ``size`` = (height, width), verified, in the user cache.

    That is ``dataset`` itself where its images have that size. Else the folder is another, beside
    its own, and ``sha256`` is that of the resized arrays; everything else stays. The bytes are
    those that the catalogue names for this dataset and size; where it names none, those that were
    made here first.

    Raises:
        UsageError: the images are larger than that.
        DataError: there is no room for them, or this machine computes other bytes.
    """
    arrays = load_arrays(Path(dataset.folder))
    _, height, width = arrays.train_images.shape
    if (height, width) == size:
        return dataset
    what = f"{dataset.name} at {size[0]} × {size[1]}"
    if size[0] < height or size[1] < width:
        raise UsageError(
            f"{dataset.name} has images of {height} × {width} pixels, got a model that takes "
            f"{size[0]} × {size[1]}, expected at least as many: choose another model or dataset"
        )
    entry = read_catalogue(catalogue).get(dataset.name)
    known = entry.resized if entry is not None and entry.sha256 == dataset.sha256 else {}
    sha256 = known.get(f"{size[0]}x{size[1]}")
    original = Path(dataset.folder)
    folder = original.with_name(f"{original.name}-bilinear-{size[0]}x{size[1]}")
    # Without the lock, so that a cache that can be read but not written serves.
    if folder_state(folder, sha256) != "valid":
        with locked(folder.parent, dataset.name, progress):
            state = folder_state(folder, sha256)
            if state == "damaged":
                progress.note(f"The resized copy in {folder} was damaged and has been discarded")
                discard(folder)
            if state != "valid":
                _make(folder, arrays, size, sha256, what, progress)
    return msgspec.structs.replace(
        dataset, folder=str(folder), sha256=sha256 or recorded_digest(folder)
    )


def resized_images(images: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(N, H, W) uint8 in, (N, *size) uint8 out, exactly as the module says."""
    count, height, width = images.shape
    rows, row_divisor = _weights(height, size[0])
    columns, column_divisor = _weights(width, size[1])
    divisor = row_divisor * column_divisor
    dtype = np.float32 if divisor <= _EXACT_DIVISOR else np.float64
    # All images in one product for each direction: products of single images are too small for the
    # threads of a library, which then wait for each other most of the time.
    side_by_side: NDArray[Any] = images.swapaxes(0, 1).reshape(height, -1).astype(dtype)
    tall: NDArray[Any] = (rows.astype(dtype) @ side_by_side).reshape(size[0], count, width)
    below_each_other = tall.swapaxes(0, 1).reshape(-1, width)
    result: NDArray[Any] = below_each_other @ columns.T.astype(dtype)
    np.divide(result, dtype(divisor), out=result)
    pixels: NDArray[np.uint8] = np.rint(result, out=result).astype(np.uint8)
    return pixels.reshape(count, *size)


def _weights(pixels: int, wanted: int) -> tuple[NDArray[np.int64], int]:
    """(wanted, pixels) integers, and the sum of each row, by which their product is divided."""
    common = math.gcd(pixels, wanted)
    step, start, divisor = 2 * pixels // common, (pixels - wanted) // common, 2 * wanted // common
    place = np.clip(start + step * np.arange(wanted), 0, (pixels - 1) * divisor)
    before, beyond = np.divmod(place, divisor)
    weights = np.zeros((wanted, pixels), np.int64)
    each = np.arange(wanted)
    weights[each, before] = divisor - beyond
    weights[each, np.minimum(before + 1, pixels - 1)] += beyond
    return weights, divisor


def _make(
    folder: Path,
    arrays: Arrays,
    size: tuple[int, int],
    sha256: str | None,
    what: str,
    progress: Progress,
) -> None:
    """``folder`` holds ``arrays``, resized; the caller holds the lock."""
    images = len(arrays.train_images) + len(arrays.test_images)
    total_bytes = images * size[0] * size[1]
    with making(folder) as started:
        free_bytes = shutil.disk_usage(started).free
        if free_bytes < total_bytes + 2**20:  # labels and headers
            raise DataError(
                f"No room for {what}: got {free_bytes / 1e9:.1f} GB free in {folder.parent}, "
                f"expected {total_bytes / 1e9:.1f} GB: make room there, or set XDG_CACHE_HOME to "
                "a folder that has it"
            )
        digest = hashlib.sha256()
        done_bytes = 0
        for field, array in arrays._asdict().items():
            if not field.endswith("images"):
                write_array(started, field, array)
                digest.update(np.ascontiguousarray(array).data)
                continue
            with array_path(started, field).open("wb") as file:
                _write_header(file, (len(array), *size))
                for first in range(0, len(array), CHUNK_IMAGES):
                    chunk = resized_images(array[first : first + CHUNK_IMAGES], size)
                    file.write(chunk.data)
                    digest.update(chunk.data)
                    done_bytes += chunk.nbytes
                    progress.advance(f"resizing {what}", done_bytes, total_bytes)
                flush(file)
        if sha256 not in (None, digest.hexdigest()):
            raise DataError(
                f"This machine computes {what} with SHA-256 {digest.hexdigest()[:16]}…, expected "
                f"{str(sha256)[:16]}…: NumPy's matrix product is not exact here, get another build"
            )
        write_digest(started, digest.hexdigest())


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    """``file`` begins as an array file of NumPy's; its values may follow."""
    # Not a mapped file: its pages count as this process's memory, and a full disk kills it.
    header: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
