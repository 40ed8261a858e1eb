from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.datasets.arrays import array_path, digest_of_dataset, load_arrays
from harness.datasets.catalogue import Entry, read_catalogue
from harness.datasets.prepared import locked, prepare, prepared_folder, prepared_state
from harness.errors import DataError
from harness.paths import ROOT
from tests.datasets.listener import Listener
from tests.datasets.small_dataset import SmallDatasets


@pytest.fixture
def entry(datasets: SmallDatasets) -> Entry:
    return read_catalogue(datasets.catalogue)["small"]


@pytest.fixture
def folder(entry: Entry, datasets: SmallDatasets, listener: Listener) -> Path:
    with locked(entry, listener):
        return prepare(entry, datasets.small)


def test_the_folder_holds_the_arrays(entry: Entry, folder: Path, cache: Path) -> None:
    assert folder == prepared_folder(entry) == cache / "small" / entry.sha256[:16]
    assert digest_of_dataset(*load_arrays(folder)) == entry.sha256
    assert prepared_state(entry) == "valid"
    assert {path.name for path in folder.parent.iterdir()} - {".lock"} == {folder.name}


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def widen(path: Path) -> None:
    np.save(path, np.load(path).astype(np.int64))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [cut, flip, widen, empty, Path.unlink])
@pytest.mark.parametrize("field", ["train_images", "test_labels"])
def test_what_happened_to_the_folder_is_seen(entry: Entry, folder: Path, field, harm) -> None:  # type: ignore[no-untyped-def]
    harm(array_path(folder, field))
    assert prepared_state(entry) == "damaged"


def test_a_damaged_folder_is_made_anew(
    entry: Entry, folder: Path, datasets: SmallDatasets, listener: Listener
) -> None:
    cut(array_path(folder, "train_images"))
    with locked(entry, listener):
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
with prepared.locked(entry, Quiet()):
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
    with locked(entry, listener):
        folder = prepare(entry, datasets.small)
    assert prepared_state(entry) == "valid"
    assert not (folder.parent / ".making").exists()
    assert listener.notes == []


def test_a_catalogue_that_contradicts_itself_is_told(entry: Entry, datasets: SmallDatasets) -> None:
    with pytest.raises(DataError, match=re.escape("mend sha256 in benchmarks/datasets.toml")):
        prepare(entry, datasets.tiny)
    assert prepared_state(entry) == "missing"


def test_a_reader_keeps_what_it_mapped(entry: Entry, folder: Path, datasets: SmallDatasets) -> None:
    arrays = load_arrays(folder)
    prepare(entry, datasets.small)
    shutil.rmtree(folder)
    assert digest_of_dataset(*arrays) == entry.sha256
