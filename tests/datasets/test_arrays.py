from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from harness.datasets import arrays as module
from harness.datasets.arrays import (
    Arrays,
    ExamplesDigest,
    array_path,
    digest_of_dataset,
    digest_of_folder,
    digest_of_order,
    digest_of_weights,
    examples_digest,
    load_arrays,
    rows_at,
)
from harness.paths import ROOT
from tests.datasets.small_dataset import random_arrays


def test_a_dataset_is_digested_as_its_bytes_in_order() -> None:
    arrays = random_arrays(0)
    expected = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    assert digest_of_dataset(*arrays) == expected


def test_the_memory_layout_of_images_does_not_matter() -> None:
    arrays = random_arrays(0)
    turned = arrays._replace(train_images=np.asfortranarray(arrays.train_images))
    assert digest_of_dataset(*turned) == digest_of_dataset(*arrays)


def test_nothing_but_bytes_is_a_dataset() -> None:
    arrays = random_arrays(0)
    with pytest.raises(ValueError, match="test_labels is int64, expected uint8"):
        digest_of_dataset(*arrays._replace(test_labels=arrays.test_labels.astype(np.int64)))


def test_weights_are_digested_as_little_endian_float32_in_the_mappings_order() -> None:
    weights = {"b": np.array([[1.5, -2.0]], ">f4"), "a": np.array([0.25], np.float64)}
    expected = hashlib.sha256(np.array([1.5, -2.0, 0.25], "<f4").tobytes()).hexdigest()
    assert digest_of_weights(weights) == expected
    assert digest_of_weights(dict(sorted(weights.items()))) != expected


def test_an_order_is_digested_as_little_endian_int64() -> None:
    expected = hashlib.sha256(np.arange(6, dtype="<i8").tobytes()).hexdigest()
    assert digest_of_order(np.arange(6, dtype=np.int32).reshape(2, 3)) == expected
    assert digest_of_order(np.arange(6, dtype=">i8")) == expected
    assert digest_of_order(np.empty((0, 3), np.int32)) == hashlib.sha256().hexdigest()


def test_arrays_are_mapped_read_only(tmp_path: Path) -> None:
    arrays = random_arrays(0)
    for field, array in arrays._asdict().items():
        np.save(array_path(tmp_path, field), array)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"{part}-{kind}.npy" for part in ("train", "test") for kind in ("images", "labels")
    }
    loaded = load_arrays(tmp_path)
    assert isinstance(loaded.train_images, np.memmap)
    assert digest_of_dataset(*loaded) == digest_of_dataset(*arrays)
    with pytest.raises(ValueError, match="read-only"):
        loaded.train_labels[0] = 1


def saved(folder: Path, arrays: Arrays) -> Path:
    for field, array in arrays._asdict().items():
        np.save(array_path(folder, field), array)
    return folder


def test_a_folder_has_the_digest_of_its_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = random_arrays(0)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 1000)
    assert digest_of_folder(saved(tmp_path, arrays)) == digest_of_dataset(*arrays)


def test_a_folder_with_less_or_other_values_has_no_digest(tmp_path: Path) -> None:
    labels = array_path(saved(tmp_path, random_arrays(0)), "test_labels")
    os.truncate(labels, labels.stat().st_size - 3)
    with pytest.raises(EOFError, match=r"test-labels\.npy is cut short: 3 bytes are missing"):
        digest_of_folder(tmp_path)
    np.save(labels, np.zeros(20, np.int64))
    with pytest.raises(ValueError, match=r"test-labels\.npy holds int64, expected uint8"):
        digest_of_folder(tmp_path)
    labels.unlink()
    with pytest.raises(FileNotFoundError):
        digest_of_folder(tmp_path)


@pytest.mark.parametrize("large_bytes", [0, 2**28])
def test_rows_are_what_indexing_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large_bytes: int
) -> None:
    monkeypatch.setattr(module, "_LARGE_BYTES", large_bytes)
    arrays = random_arrays(0)
    loaded = load_arrays(saved(tmp_path, arrays))
    indices = np.random.RandomState(1).randint(0, 300, (5, 7)).astype(np.int32)
    for mine, given in zip(loaded[:2], arrays[:2], strict=True):
        for array in (mine, given, mine[::-1], mine[3:]):
            inside = indices % len(array)
            taken = rows_at(array, inside)
            np.testing.assert_array_equal(taken, np.asarray(array)[inside])
            assert taken.flags.writeable
    assert rows_at(loaded.train_images, indices[:0]).shape == (0, 7, 28, 28)


def test_rows_of_a_file_that_was_cut_short_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGE_BYTES", 0)
    images = load_arrays(saved(tmp_path, random_arrays(0))).train_images
    os.truncate(array_path(tmp_path, "train_images"), 28 * 28 * 299)
    with pytest.raises(EOFError, match=r"train-images\.npy is cut short: row 299 is not there"):
        rows_at(images, np.array([299]))


PEAK = """
import sys
from pathlib import Path
import numpy as np
from harness.datasets.arrays import digest_of_folder, load_arrays, rows_at
from harness.worker.readings import peak_memory_bytes

folder = Path(sys.argv[1])
images = load_arrays(folder).train_images
before = peak_memory_bytes()
digest_of_folder(folder)
order = np.random.RandomState(0).permutation(len(images)).reshape(-1, 100)
for indices in order:
    rows_at(images, indices)
print(len(order), (peak_memory_bytes() - before) / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_large_folder_is_hashed_and_gathered_from_without_becoming_resident(
    tmp_path: Path,
) -> None:
    images = np.lib.format.open_memmap(  # 287 MiB that the file system need not even store
        array_path(tmp_path, "train_images"), "w+", np.uint8, (6_000, 224, 224)
    )
    del images
    few = random_arrays(0)._asdict()
    for field in ("train_labels", "test_images", "test_labels"):
        np.save(array_path(tmp_path, field), few[field])
    command = [sys.executable, "-c", PEAK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    gathered, grown_mib = done.stdout.split()
    assert gathered == "60"
    assert float(grown_mib) < 40


def test_workers_get_no_harness_dependency_with_it() -> None:
    program = (
        "import sys, harness.datasets.arrays, harness.datasets.order\n"
        "heavy = {'pooch', 'requests', 'filelock', 'platformdirs', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


some_examples = st.lists(
    st.tuples(st.lists(st.integers(0, 255), min_size=4, max_size=4), st.integers(0, 9)),
    min_size=1,
    max_size=12,
)
Examples = list[tuple[list[int], int]]


def digest_of(examples: Examples) -> ExamplesDigest:
    images = np.array([pixels for pixels, _ in examples], np.uint8).reshape(-1, 2, 2)
    return examples_digest(images, np.array([label for _, label in examples], np.uint8))


@for_all(some_examples, st.randoms(use_true_random=False), st.integers(0, 12))
def test_the_order_of_examples_does_not_matter_and_parts_add_up(examples, random, cut) -> None:
    shuffled = random.sample(examples, len(examples))
    assert digest_of(shuffled) == digest_of(examples)
    assert digest_of(shuffled[:cut]) + digest_of(shuffled[cut:]) == digest_of(examples)
    images = np.array([pixels for pixels, _ in examples], np.uint8).reshape(-1, 2, 2)
    labels = np.array([label for _, label in examples], np.int64)
    assert examples_digest(np.asfortranarray(images), labels) == digest_of(examples)


@for_all(some_examples, st.data())
def test_an_example_twice_or_not_at_all_or_with_another_label_is_seen(examples, data) -> None:
    at = data.draw(st.integers(0, len(examples) - 1))
    (pixels, label), rest = examples[at], examples[:at] + examples[at + 1 :]
    whole = digest_of(examples)
    assert digest_of([*examples, examples[at]]) != whole
    assert digest_of(rest) != whole
    assert digest_of([*rest, (pixels, (label + 1) % 10)]) != whole
    other = [*pixels[:-1], (pixels[-1] + 1) % 256]
    assert digest_of([*rest, (other, label)]) != whole
    # As many as there should be: one stands twice, and one is missing for it.
    for stand_in in rest:
        if stand_in != examples[at]:
            assert digest_of([*rest, stand_in]) != whole


@for_all(some_examples)
def test_labels_that_two_examples_have_exchanged_are_seen(examples) -> None:
    (first, one), (second, other) = examples[0], examples[-1]
    exchanged = [(first, other), *examples[1:-1], (second, one)]
    if first != second and one != other:
        assert digest_of(exchanged) != digest_of(examples)


def test_only_bytes_with_a_label_each_are_examples() -> None:
    images = np.zeros((2, 2, 2), np.uint8)
    with pytest.raises(ValueError, match="images are float32, expected uint8"):
        examples_digest(images.astype(np.float32), np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="zip"):
        examples_digest(images, np.zeros(3, np.uint8))
