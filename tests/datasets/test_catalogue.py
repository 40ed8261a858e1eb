from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness import paths
from harness.datasets.arrays import digest_of_dataset
from harness.datasets.catalogue import Entry, named_entry, read_catalogue
from harness.datasets.files import missing_files, read_files
from harness.errors import UsageError
from harness.spec.recipes import read_models
from tests.datasets.small_dataset import SmallDatasets

CATALOGUE = read_catalogue()
FULL, SUBSET = CATALOGUE["fashion-mnist"], CATALOGUE["fashion-mnist-20k"]


def test_the_published_hashes_are_the_ones_that_count() -> None:
    assert FULL.files.train_images.startswith("c59f468a2f672dc8")
    assert FULL.files.train_labels.startswith("bad3541b69d91243")
    assert FULL.files.test_images.startswith("5b4141f0afbad91e")
    assert FULL.files.test_labels.startswith("0402a96d92fd2663")
    assert (FULL.train_examples, FULL.test_examples) == (60_000, 10_000)
    assert FULL.fallback == SUBSET.name


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)
def test_every_entry_can_be_had_and_every_stand_in_is_embedded(entry) -> None:  # type: ignore[no-untyped-def]
    assert entry.embedded is not None or entry.mirrors
    assert entry.fallback is None or CATALOGUE[entry.fallback].embedded is not None
    assert all(mirror.endswith("/") for mirror in entry.mirrors)
    assert all(mirror.startswith("https://") for mirror in entry.mirrors)


def test_the_embedded_subset_is_what_it_says() -> None:
    assert SUBSET.embedded is not None
    folder = Path(SUBSET.embedded)
    assert folder == paths.BENCHMARKS / "data" / "fashion-mnist-20k"
    arrays = read_files(folder, SUBSET)
    assert digest_of_dataset(*arrays) == SUBSET.sha256
    assert SUBSET.sha256 == "f128b9398ca60fcde69b00f412879854208bc5f25c3f68ad66ed44d36e9cbf80"
    assert arrays.train_images.shape == (SUBSET.train_examples, 28, 28) == (20_000, 28, 28)
    assert arrays.test_images.shape == (SUBSET.test_examples, 28, 28) == (4_000, 28, 28)
    assert set(np.unique(arrays.train_labels)) == set(range(10))
    assert "Copyright © 2017 Zalando SE" in (folder / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_the_embedded_files_carry_no_time_of_making(name: str) -> None:
    header = (Path(str(SUBSET.embedded)) / name).read_bytes()[:10]
    assert header[4:8] == bytes(4)


def test_the_embedded_subset_begins_the_full_set() -> None:
    system = Path(str(FULL.system))
    if missing_files(system):
        pytest.skip(f"no Fashion-MNIST in {system} (Debian package dataset-fashion-mnist)")
    full = read_files(system, FULL)
    subset = read_files(Path(str(SUBSET.embedded)), SUBSET)
    assert digest_of_dataset(*full) == FULL.sha256
    first = (full.train_images, full.train_labels, full.test_images, full.test_labels)
    for part, whole in zip(subset, first, strict=True):
        digest = hashlib.sha256(whole[: len(part)].tobytes()).hexdigest()
        assert hashlib.sha256(part.tobytes()).hexdigest() == digest


def test_mnist_is_the_files_that_everyone_has() -> None:
    mnist = CATALOGUE["mnist"]
    assert mnist.files.train_images.startswith("ba891046e6505d7a")
    assert mnist.files.train_labels.startswith("65a50cbbf4e906d7")
    assert mnist.files.test_images.startswith("0fa7898d509279e4")
    assert mnist.files.test_labels.startswith("ff7bcfd416de3373")
    assert (mnist.train_examples, mnist.test_examples) == (60_000, 10_000)
    assert (mnist.system, mnist.fallback) == (None, None)


def test_a_split_has_its_wholes_sources_and_nothing_else_of_it() -> None:
    whole, split = CATALOGUE["mnist"], CATALOGUE["mnist-50k"]
    assert (split.files, split.mirrors) == (whole.files, whole.mirrors)
    assert split.train_examples + split.test_examples == whole.train_examples == 60_000
    assert (split.split_of, split.sha256, whole.split_of) == ("mnist", None, None)


def test_a_split_of_nothing_is_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "datasets.toml"
    path.write_text('[part]\nsplit_of = "whole"\ntrain_examples = 1\ntest_examples = 1\n')
    with pytest.raises(msgspec.ValidationError, match="files"):
        read_catalogue(path)


@pytest.mark.parametrize("entry", [FULL, SUBSET], ids=lambda entry: entry.name)
def test_the_bytes_of_every_size_that_a_model_takes_are_pinned(entry: Entry) -> None:
    models = read_models(paths.BENCHMARKS / "models.toml").values()
    sizes = {"{1}x{2}".format(*model.input_shape) for model in models}
    assert sizes == {"28x28", *entry.resized}


def test_an_unknown_name_gets_the_known_ones(datasets: SmallDatasets) -> None:
    with pytest.raises(
        UsageError, match=re.escape("No dataset is named 'large', expected one of small, tiny: ")
    ):
        named_entry(read_catalogue(datasets.catalogue), "large")
