from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.datasets.arrays import array_path, digest_of_dataset, load_arrays
from harness.datasets.catalogue import Entry, read_catalogue
from harness.datasets.prepared import (
    cache_folder,
    locked,
    making,
    prepare,
    prepared_folder,
    prepared_state,
    recorded_digest,
)
from harness.errors import DataError
from harness.paths import ROOT
from tests.datasets.listener import Listener
from tests.datasets.small_dataset import SmallDatasets


@pytest.fixture
def entry(datasets: SmallDatasets) -> Entry:
    return read_catalogue(datasets.catalogue)["small"]


@pytest.fixture
def folder(entry: Entry, datasets: SmallDatasets, listener: Listener) -> Path:
    with locked(cache_folder(entry), entry.name, listener):
        return prepare(entry, datasets.small)


def test_the_folder_holds_the_arrays(entry: Entry, folder: Path, cache: Path) -> None:
    assert folder == prepared_folder(entry) == cache / "small" / entry.sha256[:16]
    assert digest_of_dataset(*load_arrays(folder)) == entry.sha256 == recorded_digest(folder)
    assert prepared_state(entry) == "valid"
    assert {path.name for path in folder.parent.iterdir()} - {".lock"} == {folder.name}


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def turn(path: Path) -> None:
    np.save(path, np.asfortranarray(np.load(path).reshape(-1, 2)))


def widen(path: Path) -> None:
    np.save(path, np.load(path).astype(np.int64))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [cut, flip, turn, widen, empty, Path.unlink])
@pytest.mark.parametrize("field", ["train_images", "test_labels"])
def test_what_happened_to_the_folder_is_seen(entry: Entry, folder: Path, field, harm) -> None:  # type: ignore[no-untyped-def]
    harm(array_path(folder, field))
    assert prepared_state(entry) == "damaged"


def test_a_damaged_folder_is_made_anew(
    entry: Entry, folder: Path, datasets: SmallDatasets, listener: Listener
) -> None:
    cut(array_path(folder, "train_images"))
    with locked(cache_folder(entry), entry.name, listener):
        prepare(entry, datasets.small)
    assert prepared_state(entry) == "valid"


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from harness.datasets import prepared
from harness.datasets.catalogue import read_catalogue
from harness.datasets.files import read_files
from harness.datasets.records import Quiet

entry = read_catalogue(Path(sys.argv[1]))["small"]
save, left = np.save, [2]

def save_two(file, array):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    save(file, array)

np.save = save_two
with prepared.locked(prepared.cache_folder(entry), entry.name, Quiet()):
    prepared.prepare(entry, read_files(Path(entry.system), entry))
"""


def test_a_making_that_was_killed_is_never_trusted(
    entry: Entry, datasets: SmallDatasets, listener: Listener
) -> None:
    datasets.write_system()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(datasets.catalogue)], cwd=ROOT)
    assert killed.returncode == -9
    assert (prepared_folder(entry).parent / ".making" / "train-images.npy").exists()
    assert prepared_state(entry) == "missing"
    with locked(cache_folder(entry), entry.name, listener):
        folder = prepare(entry, datasets.small)
    assert prepared_state(entry) == "valid"
    assert not (folder.parent / ".making").exists()
    assert listener.notes == []


def test_a_catalogue_that_contradicts_itself_is_told(entry: Entry, datasets: SmallDatasets) -> None:
    with pytest.raises(DataError, match=re.escape("mend sha256 in benchmarks/datasets.toml")):
        prepare(entry, datasets.tiny)
    assert prepared_state(entry) == "missing"


def test_numbers_of_examples_that_are_not_the_files_are_told(datasets: SmallDatasets) -> None:
    entry = read_catalogue(datasets.write_unpinned_catalogue())["plain"]
    with pytest.raises(DataError, match=re.escape("plain has 30 + 10 examples, expected 300 + 20")):
        prepare(entry, datasets.tiny)


def test_without_a_digest_the_record_is_what_counts(
    datasets: SmallDatasets, listener: Listener
) -> None:
    entry = read_catalogue(datasets.write_unpinned_catalogue())["plain"]
    with locked(cache_folder(entry), entry.name, listener):
        folder = prepare(entry, datasets.small)
    assert recorded_digest(folder) == digest_of_dataset(*datasets.small)
    assert prepared_state(entry) == "valid"
    flip(array_path(folder, "train_images"))
    assert prepared_state(entry) == "damaged"
    (folder / "sha256").unlink()
    assert prepared_state(entry) == "damaged"


def test_another_entry_without_a_digest_has_another_folder(datasets: SmallDatasets) -> None:
    entry = read_catalogue(datasets.write_unpinned_catalogue())["plain"]
    others = (
        msgspec.structs.replace(entry, train_examples=299),
        msgspec.structs.replace(
            entry, files=msgspec.structs.replace(entry.files, test_labels="0" * 64)
        ),
    )
    assert prepared_folder(entry) not in map(prepared_folder, others)


def test_a_making_that_fails_changes_nothing(entry: Entry, folder: Path) -> None:
    with pytest.raises(RuntimeError, match="enough"), making(folder) as started:
        (started / "half").write_bytes(b"a half")
        raise RuntimeError("enough")
    assert prepared_state(entry) == "valid"
    assert {path.name for path in folder.parent.iterdir()} - {".lock"} == {folder.name}


def test_a_reader_keeps_what_it_mapped(entry: Entry, folder: Path, datasets: SmallDatasets) -> None:
    arrays = load_arrays(folder)
    prepare(entry, datasets.small)
    shutil.rmtree(folder)
    assert digest_of_dataset(*arrays) == entry.sha256
