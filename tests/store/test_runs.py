from __future__ import annotations

import json
import resource

import msgspec
import pytest

from harness import __version__
from harness.errors import RecordError, UsageError
from harness.spec.events import Header, RunFinished, Skip
from harness.spec.machine import Machine
from harness.spec.manifest import Manifest, Plan
from harness.store.run_writer import RunWriter
from harness.store.runs import read_manifest, read_run, run_folders
from tests.analysis.golden import stored_run


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        run="r",
        created="2026-01-01T00:00:00+00:00",
        levelfield=__version__,
        command=("levelfield", "run"),
        git_commit=None,
        machine=Machine(cpu="c", cores=2, memory_bytes=1, kernel="k"),
        environments=(),
        cells=(),
        titles={},
        plan=Plan(
            suite="s", groups=(), looks=(10, 20), rounds=1, window_steps=1, lead_in_steps=2,
            long_trials=False, aa=True, seed=0,
        ),
        datasets=(),
        worker_environment={},
    )  # fmt: skip


SKIP = Skip(at=1.0, what="w", reason="r")


def test_what_is_written_is_read_back(tmp_path, manifest):
    with RunWriter.create(tmp_path / "r", manifest) as writer:
        writer.append_event(SKIP)
    run = read_run(tmp_path / "r")
    assert run.manifest == manifest
    assert [type(event) for event in run.events] == [Header, Skip]
    assert run.events[1] == SKIP
    assert run_folders(tmp_path) == [tmp_path / "r"]


def test_an_event_is_on_disk_before_the_writer_is_closed(tmp_path, manifest):
    with RunWriter.create(tmp_path / "r", manifest) as writer:
        writer.append_event(SKIP)
        assert SKIP in read_run(tmp_path / "r").events


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "has gone"),
        (lambda path: path.rename(path.with_name("else")), "has gone"),
        (lambda path: path.with_name("new").replace(path), "is another file now"),
        (lambda path: path.write_bytes(b""), "bytes now"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more\n"), "bytes now"),
    ],
    ids=["unlinked", "renamed", "replaced", "emptied", "grown"],
)
def test_events_are_written_nowhere_else_without_a_word(tmp_path, manifest, harm, said):
    writer = RunWriter.create(tmp_path / "r", manifest)
    (tmp_path / "r" / "new").write_bytes(b"")
    harm(tmp_path / "r" / "trials.jsonl")
    with writer, pytest.raises(RecordError, match=said):
        writer.append_event(SKIP)


def test_a_full_disk_leaves_whole_lines(tmp_path, manifest):
    writer = RunWriter.create(tmp_path / "r", manifest)
    writer.append_event(SKIP)
    room = (tmp_path / "r" / "trials.jsonl").stat().st_size + 10
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, usual[1]))
    try:
        with writer, pytest.raises(RecordError, match=r"can't be written \(File too large\)"):
            writer.append_event(SKIP)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert [type(event) for event in read_run(tmp_path / "r").events] == [Header, Skip]


def test_a_run_without_its_events_is_no_empty_run(tmp_path, manifest):
    RunWriter.create(tmp_path / "r", manifest).close()
    (tmp_path / "r" / "trials.jsonl").unlink()
    with pytest.raises(RecordError, match=r"trials.jsonl can't be read"):
        read_run(tmp_path / "r")


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next_writer(tmp_path, manifest, cut):
    with RunWriter.create(tmp_path / "r", manifest) as writer:
        writer.append_event(SKIP)
        writer.append_event(RunFinished(at=2.0, exit_code=0))
    path = tmp_path / "r" / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    # Where only the line's end was cut, what it says is whole.
    kinds = [type(event) for event in read_run(tmp_path / "r").events]
    assert kinds == ([Header, Skip, RunFinished] if cut == 1 else [Header, Skip])
    with RunWriter(tmp_path / "r") as writer:
        writer.append_event(RunFinished(at=3.0, exit_code=0))
    events = read_run(tmp_path / "r").events
    assert SKIP in events
    assert isinstance(events[-1], RunFinished)


def test_a_damaged_line_in_the_middle_is_named(tmp_path, manifest):
    with RunWriter.create(tmp_path / "r", manifest) as writer:
        writer.append_event(SKIP)
    path = tmp_path / "r" / "trials.jsonl"
    path.write_bytes(path.read_bytes() + b"not json\n" + msgspec.json.encode(SKIP) + b"\n")
    with pytest.raises(RecordError, match="line 3"):
        read_run(tmp_path / "r")


def test_unknown_fields_are_ignored(tmp_path, manifest):
    RunWriter.create(tmp_path / "r", manifest).close()
    path = tmp_path / "r" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mood": "good"}))
    events = tmp_path / "r" / "trials.jsonl"
    events.write_bytes(
        events.read_bytes() + b'{"event":"skip","at":1,"what":"w","reason":"r","mood":"good"}\n'
    )
    assert read_run(tmp_path / "r").events[-1] == SKIP


@pytest.mark.parametrize("name", ["run.json", "trials.jsonl"])
def test_an_unknown_version_is_refused_by_name(tmp_path, manifest, name):
    RunWriter.create(tmp_path / "r", manifest).close()
    path = tmp_path / "r" / name
    path.write_text(path.read_text().replace('"format_version":2', '"format_version":9')
                    .replace('"format_version": 2', '"format_version": 9'))  # fmt: skip
    with pytest.raises(RecordError, match="format version 9, expected 1 to 2"):
        read_run(tmp_path / "r")


@pytest.mark.parametrize(
    ("command", "suite", "gate", "study"),
    [
        (["levelfield", "run", "cpu"], "cpu", None, "run"),
        (["levelfield", "reproduce"], "reproduce", None, "reproduce"),
        (["levelfield", "gate"], "gate", {"base": "main"}, "gate"),
        (["levelfield", "tax"], "tax", None, "tax"),
        (["python", "mine.py"], "cpu", None, "run"),
        (["levelfield"], "cpu", None, "run"),
    ],
)
def test_runs_of_version_1_are_read_and_their_study_is_known(
    tmp_path, manifest, command, suite, gate, study
):
    """It named no study: that followed from the gate's terms, the suite, or the command."""
    RunWriter.create(tmp_path / "r", manifest).close()
    path = tmp_path / "r" / "run.json"
    old = json.loads(path.read_text())
    del old["study"]
    old |= {"format_version": 1, "command": command, "gate": gate}
    old["plan"]["suite"] = suite
    path.write_text(json.dumps(old))
    events = tmp_path / "r" / "trials.jsonl"
    events.write_bytes(events.read_bytes().replace(b'"format_version":2', b'"format_version":1'))
    assert read_run(tmp_path / "r").manifest.study == study


def test_a_run_that_is_not_there_is_a_clear_line(tmp_path):
    with pytest.raises(RecordError, match="No run in"):
        read_manifest(tmp_path)


def test_a_folder_that_holds_a_run_is_not_used_again(tmp_path, manifest):
    RunWriter.create(tmp_path / "r", manifest).close()
    with pytest.raises(UsageError, match="already holds a run"):
        RunWriter.create(tmp_path / "r", manifest)


def test_there_is_one_writer_at_a_time(tmp_path, manifest):
    with (
        RunWriter.create(tmp_path / "r", manifest),
        pytest.raises(UsageError, match="another process"),
    ):
        RunWriter(tmp_path / "r")


def test_a_manifest_can_be_replaced_whole(tmp_path, manifest):
    with RunWriter.create(tmp_path / "r", manifest) as writer:
        plan = msgspec.structs.replace(manifest.plan, looks=(7,))
        writer.replace_manifest(msgspec.structs.replace(manifest, plan=plan))
    assert read_manifest(tmp_path / "r").plan.looks == (7,)


@pytest.fixture
def folder(tmp_path):
    """A whole run of two contenders."""
    run = stored_run("faster")
    with RunWriter.create(tmp_path / "r", run.manifest) as writer:
        for event in run.events[1:]:
            writer.append_event(event)
    return tmp_path / "r"


def lines_of(folder):
    return (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)


def line_with(folder, tag: str) -> int:
    """The number of the first event of that kind, from 0."""
    return next(at for at, line in enumerate(lines_of(folder)) if json.loads(line)["event"] == tag)


@pytest.mark.parametrize(
    ("tag", "changes", "said"),
    [
        ("trial_started", {"cell": "x"}, "it is of cell x, which the run does not have"),
        ("trial_started", {"group": "x"}, "it is of group x, which the run does not have"),
        ("trial_started", {"trial": 99}, r"it is of trial \d+, which has not begun"),
        ("window", {"trial": 99}, "it is of trial 99, which has not begun"),
        ("window", {"wall_seconds": 1e308}, "Expected `float` <= 1000000000.0"),
        ("window", {"wall_seconds": None}, "Expected `float`, got `null`"),
        ("window", {"examples": -1}, "Expected `int` >= 0"),
        ("window", {"at": -1}, "Expected `float` >= 0.0"),
        ("parity", {"cell": "x"}, "it is of cell x"),
        ("trial_finished", {"phases": {"import": -1}}, "Expected `float` >= 0.0"),
        ("block_finished", {"trials": [99]}, "it names trial 99, which has not begun"),
        ("block_finished", {"group": "x"}, "it is of group x"),
    ],
)
def test_events_that_contradict_the_run_are_named_with_their_line(folder, tag, changes, said):
    lines = lines_of(folder)
    number = line_with(folder, tag)
    lines[number] = json.dumps({**json.loads(lines[number]), **changes}).encode() + b"\n"
    (folder / "trials.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(RecordError, match=f"trials.jsonl, line .*{said}"):
        read_run(folder)


@pytest.mark.parametrize("tag", ["trial_started", "window", "trial_finished", "block_finished"])
def test_an_event_that_is_there_twice_is_named(folder, tag):
    lines = lines_of(folder)
    number = line_with(folder, tag)
    lines.insert(number + 1, lines[number])
    (folder / "trials.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(RecordError, match=f"line {number + 2}, is not an event of this run"):
        read_run(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one["plan"]["groups"][0]["cells"].append("x"), "names cell x, which the run"),
        (lambda one: one["plan"]["groups"][0]["cells"].clear(), "has no cells"),
        (lambda one: one["plan"]["groups"].append(one["plan"]["groups"][0]), "is there twice"),
        (lambda one: one["cells"].append(one["cells"][0]), "is there twice"),
        (
            lambda one: one["machine"].update(cores=-1),
            r"Expected `int` >= 0 - at `\$.machine.cores",
        ),
    ],
)
def test_a_manifest_that_contradicts_itself_is_named(folder, change, said):
    path = folder / "run.json"
    record = json.loads(path.read_bytes())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(RecordError, match=f"run.json is not a run's manifest .*{said}"):
        read_manifest(folder)


def test_what_no_reader_would_take_is_not_written(tmp_path, manifest):
    """One such line would cost all that was measured before it."""
    with RunWriter.create(tmp_path / "r", manifest) as writer:
        for event in (
            msgspec.structs.replace(SKIP, at=float("nan")),
            RunFinished(at=-1.0, exit_code=0),
        ):
            with pytest.raises(RecordError, match="can't be recorded"):
                writer.append_event(event)
        writer.append_event(SKIP)
    assert read_run(tmp_path / "r").events[1:] == (SKIP,)


def test_a_manifest_that_can_not_be_read_is_still_a_run_that_is_listed(tmp_path, manifest):
    RunWriter.create(tmp_path / "a", manifest).close()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").symlink_to("run.json")
    (tmp_path / "c").mkdir()
    assert run_folders(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert run_folders(tmp_path / "none") == []
