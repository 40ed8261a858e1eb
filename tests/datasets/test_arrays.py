from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.datasets.arrays import (
    array_path,
    digest_of_dataset,
    digest_of_order,
    digest_of_weights,
    load_arrays,
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


def test_workers_get_no_harness_dependency_with_it() -> None:
    program = (
        "import sys, harness.datasets.arrays, harness.datasets.order\n"
        "heavy = {'pooch', 'requests', 'filelock', 'platformdirs', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
