from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import RecordError, UsageError
from harness.spec.machine import Machine
from harness.spec.micro import MicroConditions, MicroFramework, MicroManifest
from harness.store.micro import (
    MicroWriter,
    has_micro,
    micro_path,
    read_micro,
    read_micro_file,
    read_micro_manifest,
)


@pytest.fixture
def manifest() -> MicroManifest:
    return MicroManifest(
        run="r",
        created="2026-01-01T00:00:00+00:00",
        levelfield="0",
        command=("levelfield", "micro"),
        machine=Machine(cpu="c", cores=2, memory_bytes=1, kernel="k"),
        conditions=MicroConditions(
            recipe="lenet-sgd", model="lenet", dataset="d", device="cpu", threads=2,
            settings="matched", seed=0, batch_sizes=(1,),
        ),
        frameworks=tuple(
            MicroFramework(
                framework=name, title=name, version="1", modes=("eager",), environment="k",
                environment_bytes=1,
            )
            for name in ("one", "two")
        ),
    )  # fmt: skip


def written(framework: str = "one") -> dict:
    """As pytest-benchmark writes it, with more than is read."""
    return {
        "machine_info": {"node": "n", "cpu": {"brand": "b"}},
        "commit_info": {"id": "unknown"},
        "benchmarks": [
            {
                "group": "copy",
                "name": "test_copy",
                "fullname": "test_machine.py::test_copy",
                "params": None,
                "extra_info": {
                    "framework": framework, "mode": "", "piece": "copy", "layer": "",
                    "direction": "", "batch_size": None, "examples": None, "flops": None,
                    "bytes": 1024, "device": "cpu", "threads": 2, "first_call_seconds": 0.5,
                },
                "options": {},
                "stats": {
                    "min": 1.0, "max": 2.0, "mean": 1.5, "stddev": 0.1, "rounds": 5,
                    "median": 1.4, "iqr": 0.2, "q1": 1.3, "q3": 1.5, "ops": 0.7, "total": 7.0,
                    "iterations": 3, "outliers": "1;0",
                },
            }
        ],
        "datetime": "2026-01-01T00:00:00+00:00",
        "version": "5.1.0",
        "levelfield": {
            "framework": framework, "version": "1", "import_seconds": 1.0,
            "build_seconds": {"eager": 0.1}, "first_step_seconds": {"eager": 0.2},
        },
    }  # fmt: skip


def test_what_was_accepted_is_read_back(tmp_path, manifest):
    assert not has_micro(tmp_path)
    assert read_micro(tmp_path) is None
    with MicroWriter(tmp_path, manifest) as writer:
        path = writer.begin("one")
        path.write_text(json.dumps(written()))
        found = read_micro(tmp_path)
        assert found is not None
        assert found.files == {}, "a file that is being written is nobody's yet"
        writer.accept("one")
    found = read_micro(tmp_path)
    assert found is not None
    assert found.manifest == manifest
    assert list(found.files) == ["one"]
    [benchmark] = found.benchmarks
    assert benchmark.key == "one/test_copy"
    assert (benchmark.stats.median, benchmark.stats.iterations) == (1.4, 3)
    start = found.files["one"].start
    assert start is not None
    assert start.first_step_seconds == {"eager": 0.2}
    # Nothing else lies where pytest-benchmark's own tools are pointed to.
    assert [each.name for each in (tmp_path / "micro").glob("*")] == ["one.json"]


def torn(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(RecordError) as error:
        read_micro_file(path, "one")
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_torn_file_is_named(tmp_path):
    assert "is torn" in torn(tmp_path / "one.json", json.dumps(written())[:-20])
    assert "is torn" in torn(tmp_path / "one.json", "")


def test_a_foreign_file_is_named(tmp_path):
    plain = written()
    plain["benchmarks"][0]["extra_info"] = {}
    said = torn(tmp_path / "one.json", json.dumps(plain))
    assert "was not written by these micro-benchmarks" in said
    assert "extra_info" in said
    assert "holds benchmarks of two" in torn(tmp_path / "one.json", json.dumps(written("two")))


def test_a_file_that_is_not_whole_is_not_accepted(tmp_path, manifest):
    with MicroWriter(tmp_path, manifest) as writer:
        writer.begin("one").write_text("{")
        with pytest.raises(RecordError, match="is torn"):
            writer.accept("one")
        writer.abandon("one")
        with pytest.raises(RecordError, match="is not there"):
            writer.accept("one")
    assert list((tmp_path / "micro").iterdir()) == []


def test_what_is_measured_again_is_not_left_as_it_was(tmp_path, manifest):
    with MicroWriter(tmp_path, manifest) as writer:
        writer.begin("one").write_text(json.dumps(written()))
        writer.accept("one")
        writer.begin("one")
    assert not micro_path(tmp_path, "one").exists()


def test_one_process_writes_at_a_time(tmp_path, manifest):
    with (
        MicroWriter(tmp_path, manifest),
        pytest.raises(UsageError, match="being written by another process"),
    ):
        MicroWriter(tmp_path, manifest)
    with MicroWriter(tmp_path, manifest):
        pass


def test_a_manifest_of_another_time_is_refused_by_name(tmp_path, manifest):
    with MicroWriter(tmp_path, manifest):
        pass
    path = tmp_path / "micro.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 9'))
    with pytest.raises(RecordError, match="format version 9, expected 1"):
        read_micro_manifest(tmp_path)
    path.write_text("{")
    with pytest.raises(RecordError, match="remove it, and measure again"):
        read_micro(tmp_path)
    path.unlink()
    with pytest.raises(RecordError, match="is not there"):
        read_micro_manifest(tmp_path)
