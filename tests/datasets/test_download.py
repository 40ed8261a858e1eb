from __future__ import annotations

import socket
from pathlib import Path

import pytest

from harness.datasets.catalogue import Entry, read_catalogue
from harness.datasets.download import Limits, Mirrors
from harness.datasets.files import most_bytes
from harness.errors import DataError
from tests.datasets.listener import Listener
from tests.datasets.loopback_mirror import Fault, MakeMirror
from tests.datasets.small_dataset import SmallDatasets, gzipped

NAME = "train-images-idx3-ubyte.gz"
CUT_BYTES = 100_000


@pytest.fixture
def entry(datasets: SmallDatasets) -> Entry:
    return read_catalogue(datasets.catalogue)["small"]


class Fetch:
    """Fetches the training images into an empty folder, in tests' patience."""

    def __init__(self, folder: Path, entry: Entry, limits: Limits, listener: Listener) -> None:
        self.folder, self.entry, self.limits, self.listener = folder, entry, limits, listener
        folder.mkdir()

    def __call__(self, *addresses: str) -> Mirrors:
        mirrors = Mirrors(addresses, self.limits, self.listener)
        mirrors.fetch(NAME, self.entry.files.train_images, self.folder, most_bytes(self.entry))
        assert [path.name for path in self.folder.iterdir()] == [NAME]
        return mirrors


@pytest.fixture
def fetch(tmp_path: Path, entry: Entry, limits: Limits, listener: Listener) -> Fetch:
    return Fetch(tmp_path / "download", entry, limits, listener)


def closed_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def test_a_file_comes_whole_and_its_progress_is_told(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror, listener: Listener
) -> None:
    fetch(make_mirror(datasets.files).address)
    assert (fetch.folder / NAME).read_bytes() == datasets.files[NAME]
    size = len(datasets.files[NAME])
    assert listener.advances[-1] == (NAME, size, size)
    assert [done for _, done, _ in listener.advances] == sorted(
        done for _, done, _ in listener.advances
    )
    assert {total for _, _, total in listener.advances} == {size}
    assert listener.notes == []


def test_a_file_that_is_there_is_not_asked_for(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(datasets.files)
    fetch(mirror.address)
    fetch(mirror.address)
    assert len(mirror.requests) == 1


def test_a_half_file_with_the_whole_ones_name_is_not_trusted(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    (fetch.folder / NAME).write_bytes(datasets.files[NAME][:CUT_BYTES])
    fetch(make_mirror(datasets.files).address)
    assert (fetch.folder / NAME).read_bytes() == datasets.files[NAME]


@pytest.mark.parametrize("kind", ["truncate", "stall"])
def test_another_mirror_continues_what_one_began(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror, kind: str, listener: Listener
) -> None:
    first, second = make_mirror(datasets.files), make_mirror(datasets.files)
    first.faults[NAME] = [Fault(kind, CUT_BYTES)]  # type: ignore[arg-type]
    mirrors = fetch(first.address, second.address)
    (asked,) = second.ranges_asked(NAME)
    assert asked is not None
    assert 0 < int(asked.removeprefix("bytes=").removesuffix("-")) <= CUT_BYTES
    assert mirrors.useful == [second.address, first.address]
    why = "no byte within 0.3 s" if kind == "stall" else "the connection broke off"
    assert listener.notes == [f"{first.address}: {why}"]
    assert listener.advances[-1][1:] == (len(datasets.files[NAME]),) * 2


def test_a_mirror_without_ranges_begins_again(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    first, second = make_mirror(datasets.files), make_mirror(datasets.files, ranges=False)
    first.faults[NAME] = [Fault("truncate", CUT_BYTES)]
    fetch(first.address, second.address)
    assert len(second.requests) == 1
    assert (fetch.folder / NAME).read_bytes() == datasets.files[NAME]


def test_a_mirror_that_compressed_otherwise_is_asked_for_the_whole(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    first, second = make_mirror(datasets.files), make_mirror(gzipped(datasets.small, 1))
    assert second.files[NAME] != first.files[NAME]
    first.faults[NAME] = [Fault("truncate", CUT_BYTES)]
    fetch(first.address, second.address)
    ranges = second.ranges_asked(NAME)
    assert len(ranges) == 2 and ranges[0] is not None and ranges[1] is None
    assert (fetch.folder / NAME).read_bytes() == second.files[NAME]


def test_a_part_that_is_whole_is_kept(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror, listener: Listener
) -> None:
    (fetch.folder / f"{NAME}.part").write_bytes(datasets.files[NAME])
    mirror = make_mirror(datasets.files)
    fetch(mirror.address)
    assert mirror.ranges_asked(NAME) == [f"bytes={len(datasets.files[NAME])}-"]
    assert listener.notes == []


def test_a_part_that_is_rubbish_is_discarded(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    (fetch.folder / f"{NAME}.part").write_bytes(b"<html>Please log in" * 99_999)
    mirror = make_mirror(datasets.files)
    fetch(mirror.address)
    assert mirror.ranges_asked(NAME)[1:] == [None]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_mirror_in_trouble_is_asked_again(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror, status: int, listener: Listener
) -> None:
    mirror = make_mirror(datasets.files)
    mirror.faults[NAME] = [Fault("status", status)] * 2
    fetch(mirror.address)
    assert len(mirror.requests) == 3
    assert listener.notes == [f"{mirror.address}: HTTP {status}"] * 2


def test_the_only_mirror_continues_its_own_part(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(datasets.files)
    mirror.faults[NAME] = [Fault("truncate", CUT_BYTES), Fault("stall", 70_000)]
    fetch(mirror.address)
    starts = [int(asked[6:-1]) for asked in mirror.ranges_asked(NAME) if asked]
    assert len(starts) == 2 and 0 < starts[0] < starts[1]


def test_useless_mirrors_are_left_at_once_and_not_asked_again(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror, listener: Listener
) -> None:
    closed, empty, wrong = closed_address(), make_mirror({}), make_mirror(datasets.files)
    wrong.faults[NAME] = [Fault("corrupt", 5_000)]
    good = make_mirror(datasets.files)
    mirrors = fetch(closed, empty.address, wrong.address, good.address)
    assert mirrors.useful == [good.address]
    assert listener.notes == [
        f"{closed}: Connection refused",
        f"{empty.address}: HTTP 404",
        f"{wrong.address}: it gave other bytes than the file's",
    ]
    assert [len(mirror.requests) for mirror in (empty, wrong, good)] == [1, 1, 1]


def test_no_mirror_left_is_an_error_that_names_each(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    closed, bad = closed_address(), make_mirror(datasets.files)
    bad.faults[NAME] = [Fault("status", 502)] * 99
    with pytest.raises(DataError) as caught:
        fetch(closed, bad.address)
    assert str(caught.value) == (
        f"No mirror gave {NAME} ({closed}: Connection refused; {bad.address}: HTTP 502): "
        "try again later"
    )
    assert len(bad.requests) == fetch.limits.tries


@pytest.mark.parametrize("answers", [False, True])
def test_patience_ends_when_nothing_comes(
    datasets: SmallDatasets, make_mirror: MakeMirror, tmp_path: Path, entry: Entry, answers: bool
) -> None:
    silent = make_mirror(datasets.files)
    if answers:
        silent.faults[NAME] = [Fault("stall", 0)]
    else:
        silent.open.clear()
    other = make_mirror(datasets.files)
    limits = Limits(connect_seconds=1, stall_seconds=0.2, patience_seconds=0.1)
    listener = Listener()
    with pytest.raises(DataError, match=r"no byte within 0\.2 s"):
        Mirrors([silent.address, other.address], limits, listener).fetch(
            NAME, entry.files.train_images, tmp_path, most_bytes(entry)
        )
    assert other.requests == []


def test_an_answer_without_end_in_sight_is_a_failure_not_a_file(
    fetch: Fetch, datasets: SmallDatasets, make_mirror: MakeMirror
) -> None:
    mirror = make_mirror(datasets.files)
    mirror.faults[NAME] = [Fault("truncate", CUT_BYTES // 2)] * 99
    with pytest.raises(DataError, match="the connection broke off"):
        fetch(mirror.address)
    assert not (fetch.folder / NAME).exists()


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault("endless", 0), "it sent more than the file has"),
        (Fault("range", 10**9), "it answered with other bytes than it was asked for"),
        (Fault("range", 10**40), "it answered with other bytes than it was asked for"),
        (Fault("length", 0), "its answer makes no sense"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_what_a_mirror_says_takes_no_more_room_than_the_file(
    fetch: Fetch,
    datasets: SmallDatasets,
    make_mirror: MakeMirror,
    listener: Listener,
    fault: Fault,
    why: str,
    begun: bool,
) -> None:
    if begun:
        (fetch.folder / f"{NAME}.part").write_bytes(datasets.files[NAME][:CUT_BYTES])
    bad, good = make_mirror(datasets.files), make_mirror(datasets.files)
    bad.faults[NAME] = [fault] * 9
    mirrors = fetch(bad.address, good.address)
    assert listener.notes == [f"{bad.address}: {why}"]
    assert mirrors.useful == [good.address], "who lies is not asked again"
    most = most_bytes(fetch.entry)
    assert max((done for _, done, _ in listener.advances), default=0) <= most
    # What lies in the sockets' buffers comes on top.
    assert bad.poured < most + 2**24


def test_an_answer_that_would_take_for_ever_is_given_up(
    datasets: SmallDatasets, make_mirror: MakeMirror, tmp_path: Path, entry: Entry
) -> None:
    slow, good = make_mirror(datasets.files), make_mirror(datasets.files)
    slow.faults[NAME] = [Fault("drip", 100)] * 9
    limits = Limits(connect_seconds=1, patient_seconds=0.3, slowest_bytes_per_second=10_000)
    listener = Listener()
    Mirrors([slow.address, good.address], limits, listener).fetch(
        NAME, entry.files.train_images, tmp_path, most_bytes(entry)
    )
    assert "bytes came in" in listener.notes[0]
