from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from harness.datasets.catalogue import read_catalogue
from harness.datasets.files import missing_files, read_files
from harness.errors import DataError
from harness.worker.readings import peak_memory_bytes
from tests.datasets.small_dataset import (
    SmallDatasets,
    gzipped,
    idx_bytes,
    random_arrays,
    write_files,
)

IMAGES = "train-images-idx3-ubyte"


@pytest.mark.parametrize("level", [1, 9])
def test_whoever_compressed_the_files_the_content_counts(
    datasets: SmallDatasets, level: int
) -> None:
    folder = write_files(datasets.folder / "own", gzipped(datasets.small, level))
    arrays = read_files(folder, read_catalogue(datasets.catalogue)["small"])
    np.testing.assert_array_equal(arrays.test_images, datasets.small.test_images)


def test_decompressed_files_serve_too(datasets: SmallDatasets) -> None:
    folder = datasets.write_system()
    (folder / f"{IMAGES}.gz").unlink()
    (folder / IMAGES).write_bytes(idx_bytes(datasets.small.train_images))
    assert missing_files(folder) == []
    read_files(folder, read_catalogue(datasets.catalogue)["small"])


def damaged(case: str, content: bytes) -> bytes:
    match case:
        case "cut":
            return content[: len(content) // 2]
        case "empty":
            return b""
        case "flipped":
            return content[:-9] + bytes((content[-9] ^ 1,)) + content[-8:]
        case _:
            return gzip.compress(idx_bytes(random_arrays(9).train_images))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("cut", "can't be read: Compressed file ended before the end-of-stream marker"),
        ("empty", "holds other bytes: got SHA-256 e3b0c44298fc1c14… of the decompressed file"),
        ("flipped", "can't be read: "),
        ("other", "holds other bytes: got SHA-256 "),
    ],
)
def test_a_damaged_file_is_named(datasets: SmallDatasets, case: str, message: str) -> None:
    path = datasets.write_system() / f"{IMAGES}.gz"
    path.write_bytes(damaged(case, path.read_bytes()))
    with pytest.raises(DataError, match=re.escape(f"{path} {message}")) as caught:
        read_files(datasets.system, read_catalogue(datasets.catalogue)["small"])
    assert str(caught.value).endswith(": get the file anew")


@pytest.mark.parametrize("zipped", [True, False])
def test_no_more_is_read_than_the_dataset_has(datasets: SmallDatasets, zipped: bool) -> None:
    folder = datasets.write_system()
    path = folder / f"{IMAGES}.gz"
    many = 2**30
    if zipped:
        # One gzip member of 2 MiB after the other, each a few KiB.
        path.write_bytes(gzip.compress(bytes(2**21)) * (many // 2**21))
        assert path.stat().st_size < 2**21
    else:
        path.unlink()
        path = folder / IMAGES
        with path.open("wb") as file:
            file.truncate(many)
    # Without this, the peak of an earlier test could hide what this one takes.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = peak_memory_bytes()
    with pytest.raises(DataError, match=r"goes on after \d+ bytes, decompressed"):
        read_files(folder, read_catalogue(datasets.catalogue)["small"])
    assert peak_memory_bytes() - before < 100 * 2**20


def test_a_file_that_may_not_be_read_is_named(datasets: SmallDatasets, tmp_path: Path) -> None:
    path = datasets.write_system() / f"{IMAGES}.gz"
    path.unlink()
    (datasets.system / IMAGES).symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=rf"got 3 of 4 files, expected {IMAGES}\.gz: put"):
        read_files(datasets.system, read_catalogue(datasets.catalogue)["small"])


def test_a_split_takes_the_first_and_the_last_of_the_training_files(
    datasets: SmallDatasets,
) -> None:
    folder = write_files(datasets.folder / "own", datasets.files)
    entry = read_catalogue(datasets.write_unpinned_catalogue())["part"]
    for part, expected in zip(read_files(folder, entry), datasets.part, strict=True):
        np.testing.assert_array_equal(part, expected)
