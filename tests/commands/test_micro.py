"""``levelfield micro`` from end to end, in an environment that holds nothing but NumPy."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from harness import paths
from harness.commands.micro_proofs import merged
from harness.commands.micro_tools import tools_folder
from harness.console import Console
from harness.environments.collection import Environments
from harness.errors import UsageError
from harness.spec.implementations import read_implementation
from harness.spec.micro import MicroConditions, MicroFailure, MicroFramework, MicroManifest
from harness.spec.proof_events import Parity
from harness.store.micro import read_micro
from harness.store.runs import read_manifest, read_run

from .conftest import command, surroundings

pytestmark = pytest.mark.heavy

FEW = ("--mode", "eager", "--batch", "8", "--dataset", "fashion-mnist-20k", "--quick")
SELECTED = "copy or train_step or latency"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with a framework that needs nothing but NumPy: the oracle under another role."""
    folder = tmp_path / "mine" / "plain"
    shutil.copytree(paths.IMPLS / "reference", folder)
    settings = folder / "impl.toml"
    settings.write_text(settings.read_text().replace('role = "oracle"', 'role = "framework"'))
    return folder.parent


def arguments(mine: Path, *more: str) -> tuple[str, ...]:
    return ("micro", "--impl-dir", str(mine), "-f", "plain", *FEW, "-k", SELECTED, *more)


@pytest.mark.frameworks
@pytest.mark.slow
def test_pieces_are_measured_stored_compared_and_reported(levelfield, tmp_path, mine):
    done = levelfield(*arguments(mine, "--json"))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    names = [each["name"] for each in answer["measures"]]
    assert {"test_copy", "test_train_step[eager-8]", "test_latency[eager]"} >= set(names)
    assert "test_train_step[eager-8]" in names
    assert all(each["seconds"] > 0 for each in answer["measures"])
    assert answer["comparison"] is None
    [start] = answer["starts"]
    assert start["import_seconds"] > 0
    assert start["first_step_seconds"].keys() == {"eager"}
    [framework] = answer["frameworks"]
    assert framework["environment_bytes"] > 2**20
    report = (tmp_path / answer["report"]).read_text("utf-8")
    assert "Micro-benchmarks" in report
    folder = tmp_path / answer["folder"]
    proofs = [event for event in read_run(folder).events if isinstance(event, Parity)]
    assert len(proofs) == 1, "what is timed is proved first"
    [file] = answer["files"]

    # The first run has nothing to be compared with; it is kept all the same.
    again = levelfield(*arguments(mine, "--fail", "max:1000", "--json"))
    assert again.returncode == 0, again.stderr
    comparison = json.loads(again.stdout)["comparison"]
    assert comparison["base"] == answer["run"]
    assert comparison["compared"] == len(names)
    assert comparison["breaches"] == []

    listed = json.loads(levelfield("env", "list", "--json").stdout)
    assert any(each["current"] for each in listed if each["framework"] == "micro-tools")

    # Their own tool reads the files.
    readers = Environments().root.glob("micro-tools-*/bin/pytest-benchmark")
    files = [str(tmp_path / json.loads(each.stdout)["files"][0]) for each in (done, again)]
    # Not from here: where there is a pytest.ini or its like, pytest-benchmark loads the tests.
    compared = subprocess.run(
        [next(readers), "compare", *files],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (compared.stdout + compared.stderr).count("test_train_step[eager-8]") == 2

    # As though everything had taken no time: whatever is measured now is slower.
    path = tmp_path / file
    table = json.loads(path.read_text())
    for each in table["benchmarks"]:
        each["stats"]["median"] = 1e-12
    path.write_text(json.dumps(table))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.levelfield.micro.overrides]\n"plain/test_latency*" = "max:1000"\n'
    )
    broken = levelfield(*arguments(mine, "--fail", "median:10%", "--compare", answer["run"]))
    assert broken.returncode == 1, broken.stderr
    assert "not interleaved" in broken.stdout
    # Tables fold long names; the limit stands beside each.
    assert broken.stdout.count("median:10%") == len(names) - 1
    assert "plain/test_train_step[eager-8]" in broken.stdout
    assert "plain/test_latency" not in broken.stdout


@pytest.mark.frameworks
@pytest.mark.slow
def test_they_are_put_into_a_stored_run_of_the_same_versions(levelfield, tmp_path, mine):
    verified = levelfield(
        "verify", "--impl-dir", str(mine), "-f", "plain", "-r", "lenet-sgd", "--mode", "eager",
        "--dataset", "fashion-mnist-20k", "--json",
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    run = json.loads(verified.stdout)["run"]
    folder = tmp_path / "results" / "runs" / run
    before = (folder / "trials.jsonl").read_bytes()
    own = [each for each in arguments(mine, "--run", run) if each not in {"-f", "plain"}]

    first = levelfield(*own, "--fail", "median:10%")
    assert first.returncode == 2
    assert "Nothing to compare" in first.stderr
    micro = read_micro(folder)
    assert micro is not None
    assert list(micro.files) == ["plain"], "measured before anybody asked what it compares with"
    assert micro.manifest.run == run
    assert (folder / "trials.jsonl").read_bytes() == before, "the run itself is as it was"
    assert [each.name for each in folder.parent.iterdir()] == [run]
    told = levelfield("report", run)
    assert told.returncode == 0, told.stderr
    assert "Micro-benchmarks" in (tmp_path / "reports" / run / "index.html").read_text("utf-8")

    manifest = read_manifest(folder)
    for changes, said in (
        (
            {"machine": msgspec.structs.replace(manifest.machine, kernel="another")},
            "kernel another",
        ),
        (
            {
                "environments": tuple(
                    msgspec.structs.replace(one, version="0.1") for one in manifest.environments
                )
            },
            "measured plain 0.1",
        ),
        ({"environments": ()}, "did not measure plain"),
    ):
        other = msgspec.structs.replace(manifest, **changes)
        (folder / "run.json").write_bytes(msgspec.json.encode(other))
        refused = levelfield(*arguments(mine, "--run", run))
        assert refused.returncode == 2
        assert said in refused.stderr.splitlines()[-1]
    assert read_micro(folder) == micro


@pytest.mark.frameworks
@pytest.mark.slow
def test_a_framework_that_fails_is_recorded_and_the_others_go_on(levelfield, tmp_path, mine):
    shutil.copytree(mine / "plain", mine / "broken")
    adapter = mine / "broken" / "adapter.py"
    # What parity sees is right; a benchmark alone sees the failure.
    adapter.write_text(
        adapter.read_text()
        + "\nimport os, sys\nif 'pytest' in sys.modules or 'micro' in sys.argv[0]:\n"
        "    raise RuntimeError('no more memory')\n"
    )
    done = levelfield(*arguments(mine, "-f", "broken", "--json"))
    assert done.returncode == 2, done.stderr
    answer = json.loads(done.stdout)
    [failure] = answer["failures"]
    assert failure["framework"] == "broken"
    assert "RuntimeError: no more memory" in failure["reason"]
    assert [Path(each).stem for each in answer["files"]] == ["plain"]
    assert "RuntimeError: no more memory" in (tmp_path / answer["report"]).read_text("utf-8")

    nothing = levelfield(*arguments(mine, "--json")[:-3], "-k", "nothing_of_that_name", "--json")
    assert nothing.returncode == 2
    [failure] = json.loads(nothing.stdout)["failures"]
    assert failure["reason"] == "no benchmark fits what was selected"


@pytest.mark.frameworks
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_is_cut_off_stays_readable_and_goes_on(levelfield, tmp_path, mine, how):
    shutil.copytree(mine / "plain", mine / "endless")
    adapter = mine / "endless" / "adapter.py"
    adapter.write_text(
        adapter.read_text()
        + "\nimport pathlib, sys, time\n"
        + f"flag = pathlib.Path({str(tmp_path / 'flag')!r})\n"
        + "if 'micro' in sys.argv[0] and not flag.exists():\n"
        "    flag.touch()\n    time.sleep(600)\n"
    )
    process = subprocess.Popen(
        command(*arguments(mine, "-f", "endless")),
        cwd=tmp_path,
        env=surroundings(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    deadline = time.monotonic() + 600
    while not (tmp_path / "flag").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(process.pid, how)
    process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
    [folder] = (tmp_path / "results" / "runs").iterdir()
    micro = read_micro(folder)
    assert micro is not None
    assert list(micro.files) == ["plain"]
    written = (folder / "micro" / "plain.json").stat().st_mtime_ns
    told = levelfield("report", folder.name)
    assert told.returncode == 0, told.stderr

    resumed = levelfield("micro", "--impl-dir", str(mine), "--resume", folder.name, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert {Path(each).stem for each in json.loads(resumed.stdout)["files"]} == {"plain", "endless"}
    assert (folder / "micro" / "plain.json").stat().st_mtime_ns == written, "not measured again"


def test_the_tools_are_importable_from_where_the_job_says(monkeypatch):
    """Without making anything: the place follows from the environment's folder alone."""
    synced: list[Any] = []

    def sync(self: Environments, implementation: Any, *, base: str, **_: Any) -> Any:
        synced.append((implementation, base))
        return Place("/environments/micro-tools-1")

    monkeypatch.setattr(Environments, "sync", sync)
    found = tools_folder(Console(), Place("/environments/x", "3.10.4"))  # type: ignore[arg-type]
    assert found == Path("/environments/micro-tools-1/lib/python3.10/site-packages")
    [(implementation, base)] = synced
    assert base == "/environments/x/bin/python", "where no other of its version is found"
    assert implementation.python == ("3.10",)
    assert implementation.requirements("gpu:1").name == "requirements-gpu.txt"


class Place:
    """As much of an environment as its tools ask for."""

    def __init__(self, folder: str, python: str = "") -> None:
        self.folder = folder
        self.python = f"{folder}/bin/python"
        self.record = SimpleNamespace(python=python)


def test_no_framework_of_ours_has_the_tools_name():
    assert not (paths.IMPLS / "micro-tools").exists()
    assert not (paths.BENCHMARKS / "micro" / "impl.toml").exists()
    with pytest.raises(UsageError, match=r"No impl\.toml"):
        read_implementation(paths.BENCHMARKS / "micro")


CONDITIONS = MicroConditions(
    recipe="lenet-sgd", model="lenet", dataset="d", device="cpu", threads=2, settings="matched",
    seed=0, batch_sizes=(1,),
)  # fmt: skip


def manifest_of(*names: str, **changes: object) -> MicroManifest:
    from harness.spec.machine import Machine

    usual = MicroManifest(
        run="r",
        created="2026",
        levelfield="0",
        command=(),
        machine=Machine(cpu="c", cores=2, memory_bytes=1, kernel="k"),
        conditions=CONDITIONS,
        frameworks=tuple(
            MicroFramework(
                framework=name, title=name, version="1", modes=("eager",), environment="",
                environment_bytes=0,
            )
            for name in names
        ),
        failures=tuple(
            MicroFailure(framework=name, what=name, phase="p", reason="r") for name in names
        ),
    )  # fmt: skip
    return msgspec.structs.replace(usual, **changes)


def test_frameworks_that_are_not_measured_again_are_kept_with_what_was_said_of_them():
    found = merged(manifest_of("a", "b"), manifest_of("b", "c", failures=()))
    assert [one.framework for one in found.frameworks] == ["a", "b", "c"]
    assert [one.framework for one in found.failures] == ["a"]


def test_files_of_one_run_share_their_conditions():
    changed = msgspec.structs.replace(CONDITIONS, threads=4, batch_sizes=(8,))
    before, now = manifest_of("a"), manifest_of("b", conditions=changed)
    with pytest.raises(UsageError, match=r"of a with threads 2, not 4; batch sizes \(1,\), not"):
        merged(before, now)
    assert merged(before, manifest_of("a", conditions=changed)).conditions == changed
