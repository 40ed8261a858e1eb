from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from harness import paths
from harness.datasets.arrays import Arrays, array_path, digest_of_dataset, load_arrays
from harness.datasets.catalogue import read_catalogue
from harness.datasets.records import Dataset, Quiet
from harness.datasets.resized import CHUNK_IMAGES, resized_dataset, resized_images
from harness.datasets.search import find_dataset
from harness.errors import DataError, UsageError
from tests.datasets.listener import Listener
from tests.datasets.small_dataset import SmallDatasets, random_arrays

SIZE = (56, 35)


def taps(pixels: int, wanted: int) -> list[tuple[int, int, Fraction]]:
    """For each output pixel: the two input pixels that it lies between, and how far it is along."""
    places = (Fraction(2 * i + 1, 2) * pixels / wanted - Fraction(1, 2) for i in range(wanted))
    inside = (min(max(place, Fraction(0)), Fraction(pixels - 1)) for place in places)
    return [(int(x), min(int(x) + 1, pixels - 1), x - int(x)) for x in inside]


def by_fractions(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Bilinear resizing in rational numbers, rounded half to even."""
    height, width = image.shape
    columns = taps(width, size[1])
    wide = [
        [
            left + along * (right - left)
            for left, right, along in ((row[a], row[b], f) for a, b, f in columns)
        ]
        for row in image.tolist()
    ]
    result = [
        [
            round(above + down * (below - above))
            for above, below in zip(wide[top], wide[bottom], strict=True)
        ]
        for top, bottom, down in taps(height, size[0])
    ]
    return np.array(result, np.uint8)


def images_of_all_kinds() -> NDArray[np.uint8]:
    """(3, 28, 28): noise; black and white, whose means are often halves; a ramp."""
    generator = np.random.RandomState(5)
    noise = generator.randint(0, 256, (28, 28))
    ramp = np.add.outer(np.arange(28), np.arange(28)) * 255 // 54
    return np.stack([noise, generator.randint(0, 2, (28, 28)) * 255, ramp]).astype(np.uint8)


# 97 has no divisor in common with 28: its weights need float64.
@pytest.mark.parametrize("size", [(96, 96), (224, 224), (28, 56), (31, 29), (97, 97)])
def test_every_pixel_is_exact(size: tuple[int, int]) -> None:
    images = images_of_all_kinds()
    expected = np.stack([by_fractions(image, size) for image in images])
    np.testing.assert_array_equal(resized_images(images, size), expected)


@pytest.mark.parametrize("size", [(96, 96), (224, 224)])
def test_it_is_what_pillow_does_but_for_one_grey_level(size: tuple[int, int]) -> None:
    pillow = pytest.importorskip("PIL.Image")
    images = images_of_all_kinds()
    theirs = [
        np.asarray(pillow.fromarray(image).resize(size, pillow.Resampling.BILINEAR), np.int64)
        for image in images
    ]
    assert np.abs(resized_images(images, size) - np.stack(theirs)).max() <= 1


def test_images_of_that_size_already_stay_as_they_are() -> None:
    images = images_of_all_kinds()
    np.testing.assert_array_equal(resized_images(images, (28, 28)), images)


@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_a_grey_image_stays_grey_to_its_edges(value: int) -> None:
    images = np.full((1, 28, 28), value, np.uint8)
    assert set(np.unique(resized_images(images, (224, 224)))) == {value}


def resized(arrays: Arrays, size: tuple[int, int] = SIZE) -> Arrays:
    return arrays._replace(
        train_images=resized_images(arrays.train_images, size),
        test_images=resized_images(arrays.test_images, size),
    )


@pytest.fixture
def small(datasets: SmallDatasets) -> Dataset:
    datasets.write_system()
    return find_dataset("small", catalogue=datasets.catalogue)


Resize = Callable[..., Dataset]


@pytest.fixture
def resize(small: Dataset, datasets: SmallDatasets, listener: Listener) -> Resize:
    return lambda size=SIZE: resized_dataset(small, size, listener, catalogue=datasets.catalogue)


def pin(datasets: SmallDatasets, digest: str) -> None:
    with datasets.catalogue.open("a") as file:
        file.write(f'[small.resized]\n{SIZE[0]}x{SIZE[1]} = "{digest}"\n')


def test_a_dataset_whose_images_have_the_size_is_itself(
    small: Dataset, resize: Resize, listener: Listener
) -> None:
    assert resize((28, 28)) is small
    assert (listener.notes, listener.advances) == ([], [])


def test_the_resized_dataset_lies_beside_its_original(
    small: Dataset, resize: Resize, datasets: SmallDatasets, listener: Listener
) -> None:
    assert len(datasets.small.train_images) > CHUNK_IMAGES
    expected = resized(datasets.small)
    made = resize()
    assert Path(made.folder).parent == Path(small.folder).parent
    assert made == msgspec.structs.replace(
        small, folder=made.folder, sha256=digest_of_dataset(*expected)
    )
    for mine, wanted in zip(load_arrays(Path(made.folder)), expected, strict=True):
        np.testing.assert_array_equal(mine, wanted)
    total = 320 * SIZE[0] * SIZE[1]
    assert listener.advances[-1] == ("resizing small at 56 × 35", total, total)
    heard = len(listener.advances)
    assert resize() == made
    assert (len(listener.advances), listener.notes) == (heard, [])


def test_several_sizes_live_together(resize: Resize, datasets: SmallDatasets) -> None:
    folders = [resize(size).folder for size in (SIZE, (35, 56), SIZE)]
    assert folders[0] == folders[2] != folders[1]
    again = find_dataset("small", catalogue=datasets.catalogue)
    assert again.source == "cache"


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["train-images.npy", "test-labels.npy", "sha256"])
@pytest.mark.parametrize("harm", [cut, flip, Path.unlink])
def test_a_damaged_copy_is_discarded_aloud_and_made_anew(
    resize: Resize, listener: Listener, name: str, harm: Callable[[Path], None]
) -> None:
    made = resize()
    if (name, harm) == ("sha256", cut):
        return  # The line's end is not part of it.
    harm(Path(made.folder) / name)
    assert resize() == made
    assert listener.notes == [
        f"The resized copy in {made.folder} was damaged and has been discarded"
    ]
    assert digest_of_dataset(*load_arrays(Path(made.folder))) == made.sha256


def test_the_catalogue_says_which_bytes_they_must_be(
    resize: Resize, datasets: SmallDatasets, listener: Listener
) -> None:
    made = resize()
    pin(datasets, made.sha256)
    assert resize() == made
    Path(made.folder, "sha256").unlink()  # Not needed where the catalogue knows.
    assert resize() == made
    assert listener.notes == []


def test_a_machine_that_computes_other_bytes_is_told(
    small: Dataset, resize: Resize, datasets: SmallDatasets
) -> None:
    pin(datasets, "0" * 64)
    pattern = (
        r"^This machine computes small at 56 × 35 with SHA-256 [0-9a-f]{16}…, expected 0{16}…: "
        r"NumPy's matrix product is not exact here, get another build$"
    )
    with pytest.raises(DataError, match=pattern):
        resize()
    left = {path.name for path in Path(small.folder).parent.iterdir()} - {".lock"}
    assert left == {Path(small.folder).name}


def test_digests_of_another_original_do_not_count(
    small: Dataset, datasets: SmallDatasets, listener: Listener
) -> None:
    pin(datasets, "0" * 64)
    other = msgspec.structs.replace(small, sha256="1" * 64)
    made = resized_dataset(other, SIZE, listener, catalogue=datasets.catalogue)
    assert made.sha256 == digest_of_dataset(*resized(datasets.small))


def test_smaller_than_they_are_is_a_usage_error(resize: Resize) -> None:
    with pytest.raises(UsageError) as caught:
        resize((224, 20))
    assert str(caught.value) == (
        "small has images of 28 × 28 pixels, got a model that takes 224 × 20, expected at least "
        "as many: choose another model or dataset"
    )


def test_no_room_is_told_before_anything_is_written(small: Dataset, resize: Resize) -> None:
    with pytest.raises(
        DataError,
        match=r"^No room for small at 1000000 × 1000000: got [0-9.]+ GB free in .*, "
        r"expected 320000\.0 GB: make room there, or set XDG_CACHE_HOME to a folder that has it$",
    ):
        resize((1_000_000, 1_000_000))
    left = {path.name for path in Path(small.folder).parent.iterdir()} - {".lock"}
    assert left == {Path(small.folder).name}


def test_a_cache_that_can_only_be_read_serves(small: Dataset, resize: Resize) -> None:
    made = resize()
    lock = Path(small.folder).parent / ".lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()  # Not even the superuser can open it for writing.
    assert resize() == made
    with pytest.raises(DataError, match="can't be written"):
        resize((30, 30))


RESIZE = """
import os, signal, sys
from pathlib import Path
from harness.datasets import resized
from harness.datasets.search import find_dataset
from harness.worker.readings import peak_memory_bytes

class Progress:
    def note(self, text):
        pass
    def advance(self, what, done_bytes, total_bytes):
        if sys.argv[2] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if done_bytes == total_bytes:
            print("made")

catalogue = Path(sys.argv[1])
dataset = find_dataset("small", catalogue=catalogue)
size = int(sys.argv[3]), int(sys.argv[4])
print(resized.resized_dataset(dataset, size, Progress(), catalogue=catalogue).sha256)
print(peak_memory_bytes())
"""


def start(datasets: SmallDatasets, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RESIZE, datasets.catalogue, *arguments]
    return subprocess.Popen(
        list(map(str, command)), cwd=paths.ROOT, stdout=subprocess.PIPE, text=True
    )


def test_a_making_that_was_killed_is_never_trusted(
    small: Dataset, resize: Resize, datasets: SmallDatasets, listener: Listener
) -> None:
    killed = start(datasets, "die", *SIZE)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    making = Path(small.folder).parent / ".making"
    assert (making / "train-images.npy").exists()
    assert resize().sha256 == digest_of_dataset(*resized(datasets.small))
    assert not making.exists()
    assert listener.notes == []


def test_two_processes_at_once_resize_once(small: Dataset, datasets: SmallDatasets) -> None:
    processes = [start(datasets, "live", *SIZE) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(answer.count("made") for answer in answers) == [0, 1]
    digests = {answer[-2] for answer in answers}
    assert digests == {digest_of_dataset(*resized(datasets.small))}


def test_memory_stays_bounded(datasets: SmallDatasets) -> None:
    datasets.small = random_arrays(3, train=5_000)
    datasets.write_catalogue()
    datasets.write_uncompressed_system()
    process = start(datasets, "live", 224, 224)
    peak_bytes = int(process.communicate(timeout=120)[0].split()[-1])
    assert 5_020 * 224 * 224 > 240 * 2**20
    assert peak_bytes < 200 * 2**20


def test_the_embedded_subset_is_resized_to_the_bytes_in_the_catalogue() -> None:
    dataset = find_dataset("fashion-mnist-20k")
    made = resized_dataset(dataset, (96, 96), Quiet())
    assert made.sha256 == read_catalogue()["fashion-mnist-20k"].resized["96x96"]
    first = load_arrays(Path(dataset.folder)).test_images[0]
    np.testing.assert_array_equal(
        np.load(array_path(Path(made.folder), "test_images"), mmap_mode="r")[0],
        by_fractions(first, (96, 96)),
    )
