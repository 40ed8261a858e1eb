"""The search in real processes: one that is killed, and two at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness.datasets.search import find_dataset
from harness.paths import ROOT
from tests.datasets.loopback_mirror import Fault, MakeMirror
from tests.datasets.small_dataset import SmallDatasets

IMAGES = "train-images-idx3-ubyte.gz"

FIND = """
import sys
from pathlib import Path
from harness.datasets.download import Limits
from harness.datasets.search import find_dataset

class Printing:
    def note(self, text):
        print(text, flush=True)
    def advance(self, what, done_bytes, total_bytes):
        pass

limits = Limits(stall_seconds=60)
print(find_dataset("small", progress=Printing(), limits=limits, catalogue=Path(sys.argv[1])).source)
"""


def start(datasets: SmallDatasets, output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        command = [sys.executable, "-c", FIND, str(datasets.catalogue)]
        return subprocess.Popen(command, cwd=ROOT, stdout=file)


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def test_a_download_that_was_killed_is_continued_not_trusted(
    datasets: SmallDatasets, make_mirror: MakeMirror, cache: Path, tmp_path: Path
) -> None:
    mirror = make_mirror(datasets.files)
    mirror.faults[IMAGES] = [Fault("stall", 100_000)]
    datasets.write_catalogue([mirror.address])
    part = cache / "small" / "download" / f"{IMAGES}.part"
    process = start(datasets, tmp_path / "killed.txt")
    try:
        wait_until(lambda: part.exists() and part.stat().st_size > 0)
    finally:
        process.kill()
        process.wait()
    assert not part.with_suffix("").exists()
    held_bytes = part.stat().st_size
    assert 0 < held_bytes <= 100_000
    assert find_dataset("small", catalogue=datasets.catalogue).source == "download"
    assert mirror.ranges_asked(IMAGES) == [None, f"bytes={held_bytes}-"]


def test_two_processes_at_once_download_once(
    datasets: SmallDatasets, make_mirror: MakeMirror, tmp_path: Path
) -> None:
    mirror = make_mirror(datasets.files)
    mirror.open.clear()
    datasets.write_catalogue([mirror.address])
    outputs = [tmp_path / "one.txt", tmp_path / "other.txt"]
    processes = [start(datasets, output) for output in outputs]
    try:
        wait_until(lambda: any("waiting for it" in path.read_text() for path in outputs))
        mirror.open.set()
        assert [process.wait(60) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    last_lines = sorted(path.read_text().splitlines()[-1] for path in outputs)
    assert last_lines == ["cache", "download"]
    assert sorted(name for name, _ in mirror.requests) == sorted(datasets.files)
