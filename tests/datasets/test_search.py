from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest

from harness.datasets.arrays import (
    array_path,
    digest_of_dataset,
    digest_of_folder,
    load_arrays,
)
from harness.datasets.catalogue import read_catalogue
from harness.datasets.download import Limits
from harness.datasets.prepared import prepared_folder, write_array, write_digest
from harness.datasets.records import Dataset
from harness.datasets.search import dataset_info, find_dataset
from harness.errors import DataError, UsageError
from harness.spec.manifest import DatasetUsed
from tests.datasets.listener import Listener
from tests.datasets.loopback_mirror import Fault, MakeMirror
from tests.datasets.small_dataset import SmallDatasets, write_files

IMAGES = "train-images-idx3-ubyte.gz"


class Find:
    def __init__(self, datasets: SmallDatasets, listener: Listener, limits: Limits) -> None:
        self.datasets, self.listener, self.limits = datasets, listener, limits

    def __call__(
        self, name: str = "small", data_dir: Path | None = None, *, allow_fallback: bool = True
    ) -> Dataset:
        dataset = find_dataset(
            name,
            data_dir,
            progress=self.listener,
            limits=self.limits,
            allow_fallback=allow_fallback,
            catalogue=self.datasets.catalogue,
        )
        assert digest_of_dataset(*load_arrays(Path(dataset.folder))) == dataset.sha256
        return dataset


@pytest.fixture
def find(datasets: SmallDatasets, listener: Listener, limits: Limits) -> Find:
    return Find(datasets, listener, limits)


def test_the_systems_copy_is_found_and_then_cached(find: Find, datasets: SmallDatasets) -> None:
    system = datasets.write_system()
    first = find()
    assert (first.source, first.place) == ("system", str(system))
    assert (first.train_examples, first.test_examples, first.fallback_for) == (300, 20, None)
    second = find()
    assert (second.source, second.place) == ("cache", first.folder)
    assert second.folder == first.folder
    assert find.listener.notes == []


def test_a_download_is_found_cached_and_cleared_away(
    find: Find, datasets: SmallDatasets, make_mirror: MakeMirror, cache: Path
) -> None:
    mirror = make_mirror(datasets.files)
    datasets.write_catalogue([mirror.address])
    assert (find().source, find().source) == ("download", "cache")
    assert sorted(name for name, _ in mirror.requests) == sorted(datasets.files)
    assert not (cache / "small" / "download").exists()


def test_a_mirror_that_fails_at_the_third_file_hands_over_there(
    find: Find, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    first, second = make_mirror(datasets.files), make_mirror(datasets.files)
    first.faults["t10k-images-idx3-ubyte.gz"] = [Fault("status", 404)]
    datasets.write_catalogue([first.address, second.address])
    dataset = find()
    assert (dataset.source, dataset.place) == ("download", second.address)
    names = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert [name for name, _ in second.requests] == names


def test_a_stand_in_says_so(find: Find, datasets: SmallDatasets) -> None:
    dataset = find()
    assert dataset == Dataset(
        name="tiny",
        source="embedded",
        place=str(datasets.folder / "data" / "tiny"),
        folder=dataset.folder,
        sha256=digest_of_dataset(*datasets.tiny),
        train_examples=30,
        test_examples=10,
        fallback_for="small",
    )
    assert find.listener.notes == [
        f"small is not to be had (cache: missing; system: nothing in {datasets.system}): "
        "tiny stands in for it"
    ]
    assert find() == dataset


def test_a_stand_in_can_be_refused(
    find: Find, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    mirror = make_mirror({})
    datasets.write_catalogue([mirror.address])
    with pytest.raises(DataError) as caught:
        find(allow_fallback=False)
    assert str(caught.value) == (
        f"small is not to be had (cache: missing; system: nothing in {datasets.system}; "
        f"{mirror.address}: HTTP 404): connect to the network, or name a folder that holds it "
        "with --data-dir"
    )


def test_an_embedded_dataset_is_its_own_only_source(
    find: Find, datasets: SmallDatasets, tmp_path: Path
) -> None:
    for _ in range(2):
        dataset = find("tiny", tmp_path / "nowhere")
        assert (dataset.name, dataset.source) == ("tiny", "embedded")
        assert dataset.place == str(datasets.folder / "data" / "tiny")
        assert dataset.fallback_for is None


def test_an_unknown_dataset_is_a_usage_error(find: Find) -> None:
    with pytest.raises(UsageError, match="No dataset is named 'large'"):
        find("large")


@pytest.mark.parametrize("inner", ["", "small"])
def test_a_folder_of_the_users_goes_first(
    find: Find, datasets: SmallDatasets, tmp_path: Path, inner: str
) -> None:
    datasets.write_system()
    find()
    folder = write_files(tmp_path / "own" / inner, datasets.files)
    dataset = find("small", tmp_path / "own")
    assert (dataset.source, dataset.place) == ("data-dir", str(folder))


def test_the_variable_names_a_folder_too(
    find: Find, datasets: SmallDatasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(tmp_path / "own", datasets.files)
    monkeypatch.setenv("LEVELFIELD_DATA", str(folder))
    assert find().source == "data-dir"
    with pytest.raises(DataError, match="no such folder"):
        find("small", tmp_path / "nowhere")
    monkeypatch.setenv("LEVELFIELD_DATA", "")
    assert find().source == "cache"


def test_a_wrong_file_in_the_users_folder_is_an_error(
    find: Find, datasets: SmallDatasets, tmp_path: Path
) -> None:
    datasets.write_system()
    folder = write_files(tmp_path / "own", datasets.files)
    wrong = (datasets.folder / "data" / "tiny" / IMAGES).read_bytes()
    (folder / IMAGES).write_bytes(wrong)
    pattern = (
        rf"^{re.escape(str(folder / IMAGES))} holds other bytes: got SHA-256 [0-9a-f]{{16}}… of "
        r"the decompressed file, expected [0-9a-f]{16}…: get the file anew, or leave --data-dir "
        r"and LEVELFIELD_DATA out$"
    )
    with pytest.raises(DataError, match=pattern):
        find("small", folder)


def test_a_damaged_cache_is_discarded_aloud(find: Find, datasets: SmallDatasets) -> None:
    datasets.write_system()
    folder = Path(find().folder)
    os.truncate(array_path(folder, "train_images"), 1_000)
    assert find().source == "system"
    assert find.listener.notes == [
        f"The cached copy in {folder} was damaged and has been discarded"
    ]
    assert find().source == "cache"


def test_a_damaged_system_copy_is_passed_over_aloud(
    find: Find, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    (datasets.write_system() / IMAGES).write_bytes(b"rubbish")
    datasets.write_catalogue([make_mirror(datasets.files).address])
    assert find().source == "download"
    assert len(find.listener.notes) == 1
    assert find.listener.notes[0].startswith("The system's copy is passed over: ")


def test_a_cache_that_can_only_be_read_serves(
    find: Find, datasets: SmallDatasets, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets.write_system()
    find()
    (cache / "small" / ".lock").unlink(missing_ok=True)
    (cache / "small" / ".lock").mkdir()  # Not even the superuser can open it for writing.
    assert find().source == "cache"


def test_a_cache_that_cannot_be_made_is_told(find: Find, datasets: SmallDatasets) -> None:
    datasets.write_system()
    (datasets.folder / "cache").write_text("in the way")
    with pytest.raises(DataError, match=r"can't be written: .*set XDG_CACHE_HOME"):
        find()


def test_the_manifests_record_is_the_dataset_without_its_folder(find: Find) -> None:
    dataset = find()
    fields = msgspec.structs.asdict(dataset)
    del fields["folder"]
    assert dataset.used() == DatasetUsed(**fields)


def states(datasets: SmallDatasets, data_dir: Path | None = None) -> list[tuple[str, str, str]]:
    info = dataset_info("small", data_dir, catalogue=datasets.catalogue)
    return [(source.source, source.dataset, source.state) for source in info.sources]


def test_every_source_is_listed_without_asking_the_network(
    find: Find, datasets: SmallDatasets, make_mirror: MakeMirror, tmp_path: Path
) -> None:
    mirror = make_mirror(datasets.files)
    datasets.write_catalogue([mirror.address])
    bottom = [("download", "small", "unchecked"), ("embedded", "tiny", "valid")]
    assert states(datasets) == [
        ("cache", "small", "missing"),
        ("system", "small", "missing"),
        *bottom,
    ]
    (datasets.write_system() / IMAGES).write_bytes(b"rubbish")
    own = write_files(tmp_path / "own", datasets.files)
    find("small", own)
    assert states(datasets, own) == [
        ("data-dir", "small", "valid"),
        ("cache", "small", "valid"),
        ("system", "small", "damaged"),
        *bottom,
    ]
    os.truncate(
        array_path(prepared_folder(read_catalogue(datasets.catalogue)["small"]), "test_labels"), 3
    )
    assert states(datasets)[0] == ("cache", "small", "damaged")
    assert mirror.requests == []


def test_an_answer_about_sources_is_json(datasets: SmallDatasets) -> None:
    info = dataset_info("tiny", catalogue=datasets.catalogue)
    assert msgspec.json.decode(msgspec.json.encode(info)) == {
        "name": "tiny",
        "sha256": digest_of_dataset(*datasets.tiny),
        "train_examples": 30,
        "test_examples": 10,
        "sources": [
            {
                "source": "embedded",
                "dataset": "tiny",
                "place": str(datasets.folder / "data" / "tiny"),
                "state": "valid",
                "detail": "",
            }
        ],
    }


@pytest.mark.parametrize("name", ["plain", "part"])
def test_without_a_digest_in_the_catalogue_the_files_lead_to_it(
    find: Find, datasets: SmallDatasets, make_mirror: MakeMirror, tmp_path: Path, name: str
) -> None:
    mirror = make_mirror(datasets.files)
    datasets.write_unpinned_catalogue([mirror.address])
    expected = digest_of_dataset(*(datasets.small if name == "plain" else datasets.part))
    assert dataset_info(name, catalogue=datasets.catalogue).sha256 is None
    found = [find(name), find(name), find(name, write_files(tmp_path / "own", datasets.files))]
    assert [dataset.source for dataset in found] == ["download", "cache", "data-dir"]
    assert {dataset.sha256 for dataset in found} == {expected}
    assert sorted(file for file, _ in mirror.requests) == sorted(datasets.files)
    info = dataset_info(name, catalogue=datasets.catalogue)
    assert info.sha256 == expected
    assert (info.train_examples, info.test_examples) == (
        found[0].train_examples,
        found[0].test_examples,
    )


def test_a_split_is_found_in_the_folder_of_its_whole(
    find: Find, datasets: SmallDatasets, tmp_path: Path
) -> None:
    datasets.write_unpinned_catalogue()
    folder = write_files(tmp_path / "own" / "plain", datasets.files)
    dataset = find("part", tmp_path / "own")
    assert (dataset.place, dataset.train_examples, dataset.test_examples) == (str(folder), 250, 50)


def test_a_damaged_cache_without_a_digest_is_discarded_aloud(
    find: Find, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    datasets.write_unpinned_catalogue([make_mirror(datasets.files).address])
    folder = Path(find("plain").folder)
    os.truncate(array_path(folder, "train_images"), 1_000)
    assert find("plain").source == "download"
    assert find.listener.notes == [
        f"The cached copy in {folder} was damaged and has been discarded"
    ]


def test_files_count_more_than_what_was_prepared_before(
    find: Find, datasets: SmallDatasets, tmp_path: Path
) -> None:
    datasets.write_unpinned_catalogue()
    own = write_files(tmp_path / "own", datasets.files)
    folder = Path(find("plain", own).folder)
    changed = datasets.small.train_labels.copy()
    changed[0] ^= 1
    write_array(folder, "train_labels", changed)
    write_digest(folder, digest_of_folder(folder))
    assert find("plain", own).sha256 == digest_of_dataset(*datasets.small)


def test_what_is_not_to_be_had_and_has_no_stand_in_is_one_line(
    find: Find, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    mirror = make_mirror({})
    datasets.write_unpinned_catalogue([mirror.address])
    with pytest.raises(DataError) as caught:
        find("part")
    assert str(caught.value) == (
        f"part is not to be had (cache: missing; {mirror.address}: HTTP 404): connect to the "
        "network, or name a folder that holds it with --data-dir"
    )
