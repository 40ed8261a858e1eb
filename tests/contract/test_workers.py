"""Real workers of every framework in one block: waiting costs nothing, training agrees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import paths
from harness.spec.events import BlockFinished, Evaluation, TrialFinished, TrialStarted, Window
from harness.spec.manifest import Run
from harness.store.runs import read_run

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Any], Path]:
    """The smoke suite on the embedded subset: the run, what it answered, and where it is."""
    folder: Path = tmp_path_factory.mktemp("smoke")
    command = ["run", "smoke", "--dataset", "fashion-mnist-20k", "--epochs", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return read_run(folder / answer["folder"]), answer, folder


def of(run: Run, kind: type) -> list:
    return [event for event in run.events if isinstance(event, kind)]


def test_every_framework_was_measured(smoke):
    run, answer, folder = smoke
    assert answer["failures"] == []
    assert {cell.framework for cell in run.manifest.cells} == {"pytorch", "gluon", "keras"}
    assert len(of(run, BlockFinished)) == 2
    assert (folder / answer["report"]).exists()


def test_too_few_blocks_rank_nothing(smoke):
    _, answer, _ = smoke
    assert {verdict["status"] for verdict in answer["judgement"]["verdicts"]} == {"indicative"}
    assert all(group["tiers"] == [] for group in answer["judgement"]["groups"])


def test_frameworks_reach_the_same_accuracy_after_each_epoch(smoke):
    run, _, _ = smoke
    for epoch in (1, 2):
        reached = [e.correct / e.examples for e in of(run, Evaluation) if e.epoch == epoch]
        assert len(reached) == 3
        assert max(reached) - min(reached) <= 0.005


def test_waiting_workers_use_no_cpu(smoke):
    run, _, _ = smoke
    for trial in of(run, TrialFinished):
        windows = [w for w in of(run, Window) if w.trial == trial.trial]
        waited = sum(window.waiting_seconds for window in windows)
        used = sum(window.waiting_cpu_seconds for window in windows)
        # The kernel counts in ticks of 10 ms, one of which each end of a wait may catch.
        assert used <= 0.01 * waited + 0.02 * len(windows)


def test_every_trial_records_what_it_has_to(smoke):
    run, _, _ = smoke
    started = {event.trial: event for event in of(run, TrialStarted)}
    finished = of(run, TrialFinished)
    assert len(finished) == len(started) == 7
    for trial in finished:
        assert all(trial.phases[name] > 0 for name in ("spawn", "import", "build", "first_step"))
        assert trial.peak_memory_bytes > 100 * 2**20
        assert trial.device == "cpu"
        assert trial.threads
    for group in ({True}, {False}):
        hashes = {f.hashes for f in finished if {started[f.trial].long} == group}
        assert len(hashes) == 1, "same data, weights and order for all"
    for window in of(run, Window):
        assert window.cpu_seconds > 0
        assert window.loss_sum is not None
        assert min(window.minor_faults, window.major_faults, window.steal_seconds) >= 0


def test_the_worker_got_the_allow_listed_environment_and_nothing_else(smoke):
    run, _, _ = smoke
    for variables in run.manifest.worker_environment.values():
        assert "glibc.malloc.hugetlb=1" in variables["GLIBC_TUNABLES"]
        assert "PYTHONPATH" not in variables
        assert not [name for name in variables if "PROXY" in name.upper()]
