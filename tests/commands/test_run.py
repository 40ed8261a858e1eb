"""The main job as a process: finished, interrupted, killed, resumed."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from harness.spec.events import BlockFinished, RunFinished, TrialStarted
from harness.spec.manifest import Run
from harness.spec.proof_events import Parity
from harness.store.runs import read_run, run_folders

from .conftest import IMPLEMENTATIONS, command, surroundings

pytestmark = pytest.mark.frameworks

QUICK = (
    "run", "smoke", "--impl-dir", str(IMPLEMENTATIONS), "-f", "quick",
    "--dataset", "fashion-mnist-20k", "--epochs", "1", "--blocks", "3",
)  # fmt: skip


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), cwd=folder, env=surroundings(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_block(folder: Path, number: int) -> Path:
    """The run's folder, as soon as its short block ``number`` is finished."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for run_folder in run_folders(folder / "results" / "runs"):
            if number in blocks(read_run(run_folder)):
                return run_folder
        time.sleep(0.05)
    raise AssertionError("the block never came to its end")


def blocks(run: Run) -> list[int]:
    return [e.block for e in run.events if isinstance(e, BlockFinished) and not e.long]


def workers_left() -> list[str]:
    """Command lines of workers that live though their harness does not."""
    return [
        " ".join(process.info["cmdline"] or ())
        for process in psutil.process_iter(["cmdline", "ppid"])
        if "bootstrap.py" in " ".join(process.info["cmdline"] or ()) and process.info["ppid"] == 1
    ]


def test_a_run_ends_with_verdicts_and_a_report(levelfield, tmp_path):
    done = levelfield(*QUICK, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == answer["exit_code"] == 3, "quick does not compute what it should"
    assert Path(tmp_path / answer["report"]).exists()
    assert (tmp_path / "reports" / "latest" / "report.md").exists()
    run = read_run(tmp_path / answer["folder"])
    assert blocks(run) == [1, 2, 3]
    again = levelfield("report", run.manifest.run, "--json")
    assert json.loads(again.stdout)["judgement"] == answer["judgement"]
    beside = json.loads(levelfield("report", run.manifest.run, "latest", "--json").stdout)
    assert [each["run"] for each in beside["runs"]] == [run.manifest.run] * 2
    assert "not interleaved" in Path(tmp_path / beside["comparison"]).read_text(encoding="utf-8")
    listed = json.loads(levelfield("list", "runs", "--json").stdout)
    assert [(each["run"], each["exit_code"]) for each in listed] == [(run.manifest.run, 3)]


@pytest.mark.parametrize("end", ["| head -2", "| true", ">&- 2>&- <&-", ">/dev/full"])
def test_who_reads_changes_nothing_of_a_run(tmp_path, end):
    line = f"{shlex.join(command(*QUICK))} 2>&1 {end}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=surroundings(), capture_output=True, timeout=900
    )
    assert done.returncode == 3, "quick does not compute what it should"
    [folder] = run_folders(tmp_path / "results" / "runs")
    run = read_run(folder)
    assert blocks(run) == [1, 2, 3]
    assert isinstance(run.events[-1], RunFinished)
    assert (tmp_path / "reports" / "latest" / "index.html").is_file()
    assert not workers_left()


def test_a_run_whose_record_goes_away_says_so(tmp_path):
    process = start(tmp_path, *QUICK)
    folder = wait_for_block(tmp_path, 1)
    (folder / "trials.jsonl").unlink()
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 2
    assert "trials.jsonl has gone, expected to be alone with it" in said.splitlines()[-1]
    assert not workers_left()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_is_readable_and_goes_on_where_it_was(levelfield, tmp_path, end):
    process = start(tmp_path, *QUICK)
    folder = wait_for_block(tmp_path, 1)
    process.send_signal(end)
    _, errors = process.communicate(timeout=60)
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert "--resume" in errors
        assert "Traceback" not in errors
    time.sleep(0.5)
    assert workers_left() == []

    before = read_run(folder)
    assert 3 not in blocks(before)
    reported = levelfield("report", folder.name)
    assert reported.returncode == 0, reported.stderr

    resumed = levelfield(
        "run", "--impl-dir", str(IMPLEMENTATIONS), "--resume", folder.name, "--json"
    )
    assert resumed.returncode == 3, resumed.stderr
    after = read_run(folder)
    assert blocks(after) == [1, 2, 3]
    own = [e for e in after.events if isinstance(e, Parity) and e.trial is None]
    assert len(own) == 1
    assert len([e for e in after.events if isinstance(e, RunFinished)]) == 1
    assert after.events[: len(before.events)] == before.events
    numbers = [e.trial for e in after.events if isinstance(e, TrialStarted)]
    assert len(numbers) == len(set(numbers))


def test_a_killed_sweep_goes_on_with_its_batch_sizes(levelfield, tmp_path):
    process = start(
        tmp_path, *QUICK[:-1], "1", "--no-aa", "--batch-size", "256,2000", "--threads", "1"
    )
    folder = wait_for_block(tmp_path, 1)
    process.kill()
    process.communicate(timeout=60)
    resumed = levelfield(
        "run", "--impl-dir", str(IMPLEMENTATIONS), "--resume", folder.name, "--json"
    )
    assert resumed.returncode == 3, resumed.stderr
    run = read_run(folder)
    of = [(e.group.split("/")[0], e.long) for e in run.events if isinstance(e, BlockFinished)]
    own = "lenet-sgd+dataset=fashion-mnist-20k+epochs=1"
    labels = {own, own.replace("+", "+batch_size=2000+", 1)}
    assert {group.name for group in run.manifest.plan.groups} == {
        f"{label}/resident/cpu-1t" for label in labels
    }
    assert sorted(of) == sorted((label, long) for label in labels for long in (False, True))
    assert json.loads(resumed.stdout)["sweeps"] == []  # quick computes something else


def test_a_resumed_run_that_was_finished_does_nothing(levelfield, tmp_path):
    done = levelfield(*QUICK[:-1], "0", "--json")
    folder = tmp_path / json.loads(done.stdout)["folder"]
    before = (folder / "trials.jsonl").stat().st_size
    again = levelfield("run", "--impl-dir", str(IMPLEMENTATIONS), "--resume", folder.name)
    assert again.returncode == 3
    assert (folder / "trials.jsonl").stat().st_size == before


def test_a_run_does_not_go_on_with_other_code(levelfield, tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(IMPLEMENTATIONS / "quick", tmp_path / "mine" / "quick", ignore=ignored)
    mine = ("--impl-dir", "mine")
    done = levelfield("verify", *mine, "-f", "quick", "--dataset", "fashion-mnist-20k", "--json")
    run = json.loads(done.stdout)["run"]
    events = tmp_path / "results" / "runs" / run / "trials.jsonl"
    # As if it had been killed before its end.
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:-1]))
    with (tmp_path / "mine" / "quick" / "adapter.py").open("a") as file:
        file.write("# another\n")
    other = levelfield("run", *mine, "--resume", run)
    assert other.returncode == 2
    assert "The code of quick is not the one that the run began with" in other.stderr


def test_two_writers_of_one_run_are_refused(levelfield, tmp_path):
    process = start(tmp_path, *QUICK)
    folder = wait_for_block(tmp_path, 1)
    process.send_signal(signal.SIGSTOP)
    other = levelfield("run", "--impl-dir", str(IMPLEMENTATIONS), "--resume", folder.name)
    assert other.returncode == 2
    assert "written by another process" in other.stderr
    process.kill()
    process.communicate()
