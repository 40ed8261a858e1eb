"""Launchers that misbehave: tiny programs in the place of a framework's interpreter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.execution.process import WorkerError
from harness.execution.suites import LAUNCHER, SuiteTimeouts, run_suites

SHORT = SuiteTimeouts(silence=1.0, whole=30.0)


def run(tmp_path: Path, script: str, timeouts: SuiteTimeouts = SHORT) -> list[str]:
    """What ``script`` printed; it is called as an interpreter would be."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    told: list[str] = []
    variables = {"PATH": os.environ["PATH"]}
    run_suites(python, variables, tmp_path / "job", tmp_path / "log", told.append, timeouts)
    return told


def failure(tmp_path: Path, script: str, timeouts: SuiteTimeouts = SHORT) -> WorkerError:
    with pytest.raises(WorkerError) as error:
        run(tmp_path, script, timeouts)
    return error.value


def test_the_interpreter_gets_the_launcher_the_job_and_no_variable_beside_those(tmp_path):
    told = run(tmp_path, 'printf "%s\\n" "$@"; env')
    assert told[:3] == ["-I", str(LAUNCHER), str(tmp_path / "job")]
    names = {line.split("=")[0] for line in told[3:]}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH"}, "what a shell adds is its own"
    assert (tmp_path / "log").read_text().splitlines() == told


def test_a_failed_test_is_the_reason(tmp_path):
    error = failure(tmp_path, "echo 'E   boom'; echo 'FAILED test_x.py::test_y - boom'; exit 1")
    assert error.reason == "it ended with status 1: FAILED test_x.py::test_y - boom"
    assert "E   boom" in error.detail


def test_nothing_that_was_selected_is_said_plainly(tmp_path):
    error = failure(tmp_path, "echo '3 deselected'; exit 5")
    assert error.reason == "no benchmark fits what was selected"


def test_silence_is_taken_for_a_hang(tmp_path):
    error = failure(tmp_path, "echo begun; sleep 60")
    assert error.reason == "no word for 1 s: it hung and was killed"
    assert error.detail == "begun"


def test_endless_talk_has_an_end(tmp_path):
    error = failure(
        tmp_path, "while :; do echo again; sleep 0.2; done", SuiteTimeouts(silence=5, whole=1)
    )
    assert error.reason == "no end in 1 s: it hung and was killed"


def test_death_by_a_signal_is_named(tmp_path):
    assert "SIGKILL" in failure(tmp_path, "kill -9 $$").reason
    assert failure(tmp_path, "kill -SEGV $$").reason == "it was ended by SIGSEGV"


def test_whoever_keeps_its_output_open_is_not_waited_for(tmp_path):
    script = "setsid sleep 30 & echo done"
    assert run(tmp_path, script, SuiteTimeouts(silence=20, whole=25)) == ["done"]


def test_an_interpreter_that_is_gone(tmp_path):
    with pytest.raises(WorkerError) as error:
        run_suites(tmp_path / "python", {}, tmp_path / "job", tmp_path / "log", print)
    assert "can't be started" in error.value.reason
