"""What the suites measure with, in this process, on the reference."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness import paths
from harness.datasets.arrays import Arrays, array_path
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from harness.worker.micro_bench import Bench, NoPiecesError
from harness.worker.micro_job import BATCH_SIZES, MicroJob, read_job, write_job
from impls.adapter import Sgd

MODEL = read_models(paths.BENCHMARKS / "models.toml")["lenet"]
PIECES = """
class Pieces:
    pass

def create(adapter):
    if adapter.device() != "cpu":
        raise ValueError("only on a CPU")
    return Pieces()
"""
ADAPTER = "from impls.reference.adapter import create as create_reference\n"
ELSEWHERE = """
class Stray:
    def __init__(self, adapter):
        self._adapter = adapter

    def __getattr__(self, name):
        return getattr(self._adapter, name)

    def result_device(self):
        return "gpu:0"

def create(setup):
    return Stray(create_reference(setup))
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generator = np.random.RandomState(6)
    folder = tmp_path / "data"
    folder.mkdir()
    for field in Arrays._fields:
        high, shape = (256, (10, 28, 28)) if field.endswith("images") else (10, (10,))
        np.save(array_path(folder, field), generator.randint(0, high, shape).astype(np.uint8))
    return folder


@pytest.fixture
def job(tmp_path: Path, data: Path) -> Iterator[MicroJob]:
    """An implementation that is the reference, in a folder of its own."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "adapter.py").write_text(ADAPTER + "create = create_reference\n")
    yield MicroJob(
        implementation="mine",
        package="numpy",
        folder=str(folder),
        model=MODEL,
        optimizer=Sgd(learning_rate=0.5),
        modes=("eager", "float32"),
        batch_sizes=(1, 4),
        threads=1,
        data=str(data),
        tools="",
        suites="",
        output="",
    )
    for name in [name for name in sys.modules if name.split(".")[0] == "implementation"]:
        del sys.modules[name]


def test_a_job_is_read_as_it_was_written(job, tmp_path):
    write_job(job, tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == job
    assert BATCH_SIZES == (1, 32, 256)


def test_building_is_measured_mode_by_mode(job):
    facts = Bench(job).facts()
    assert facts["framework"] == "mine"
    assert facts["version"] == np.__version__
    assert list(facts["build_seconds"]) == list(facts["first_step_seconds"]) == list(job.modes)
    assert min(*facts["first_step_seconds"].values(), facts["import_seconds"]) > 0


def test_each_benchmark_starts_from_the_initial_weights(job):
    bench = Bench(job)
    expected = initial_weights(MODEL, "xavier", 0)
    adapter = bench.adapter("float32")
    adapter.train(bench.staged("float32", 4))
    assert not np.array_equal(adapter.weights()["dense3.bias"], expected["dense3.bias"])
    again = bench.adapter("float32")
    assert again is adapter
    assert all(np.array_equal(again.weights()[name], expected[name]) for name in expected)
    assert again.take_metrics().examples == 0


def test_the_clock_is_read_when_all_work_is_finished(job, monkeypatch):
    bench = Bench(job)
    events: list[tuple[str, float]] = []

    def note(event: str) -> None:
        events.append((event, time.perf_counter()))

    monkeypatch.setattr(bench.adapter(), "synchronize", lambda: note("finished"))
    assert bench.clock() >= events[-1][1]
    events.clear()
    seconds = bench.seconds(lambda: note("called"))
    assert [event for event, _ in events] == ["finished", "called", "finished"]
    assert seconds >= events[2][1] - events[1][1], "what the call left to be done counts"


def test_examples_are_those_of_the_training_set_again_and_again(job, data):
    images, labels = Bench(job).examples(6, steps=2)
    assert images.shape == (2, 6, 1, 28, 28)
    assert labels.shape == (2, 6)
    assert np.array_equal(images[1, 4], images[0, 0])
    published = np.load(array_path(data, "train_images"))
    assert np.allclose(images[0, 3, 0] * 255, published[3])


def test_pieces_are_made_once_for_each_mode(job):
    (Path(job.folder) / "pieces.py").write_text(PIECES)
    bench = Bench(job)
    assert bench.pieces("eager") is bench.pieces() is not bench.pieces("float32")
    assert bench.facts()["without_pieces"] == {}


@pytest.mark.parametrize(
    "pieces, reason",
    [
        (None, "mine has no pieces.py"),
        (PIECES.replace('!= "cpu"', '== "cpu"'), "only on a CPU"),
    ],
    ids=["no file", "refused"],
)
def test_why_there_are_no_pieces_is_told(job, pieces, reason):
    if pieces is not None:
        (Path(job.folder) / "pieces.py").write_text(pieces)
    bench = Bench(job)
    for _ in range(2):
        with pytest.raises(NoPiecesError, match=reason):
            bench.pieces("eager")
    assert bench.facts()["without_pieces"] == {"eager": reason}


def test_work_done_elsewhere_than_asked_is_refused(job):
    (Path(job.folder) / "adapter.py").write_text(ADAPTER + ELSEWHERE)
    with pytest.raises(RuntimeError, match="weights on cpu and results on gpu:0, expected both on"):
        Bench(job)


def test_a_gpu_is_asked_for_under_the_number_that_a_worker_sees(job: Any):
    with pytest.raises(ValueError, match="'gpu:0'"):
        Bench(msgspec.structs.replace(job, device="gpu:3"))
