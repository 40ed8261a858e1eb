"""What ``levelfield list runs`` says of runs on disk."""

from __future__ import annotations

import json

import pytest

from harness.spec.micro import MicroFailure
from harness.store.micro import MicroWriter
from tests.analysis.golden import stored_run
from tests.report.micros import micro_of

from .stored import store

FASTER = stored_run("faster")
BROKE = MicroFailure(framework="beta", what="Beta", phase="build", reason="MemoryError")


@pytest.mark.parametrize("failures, code", [((), 0), ((BROKE,), 2)])
def test_micro_benchmarks_that_failed_are_the_runs_exit_code(levelfield, tmp_path, failures, code):
    folder = store(FASTER, tmp_path)
    with MicroWriter(folder, micro_of(FASTER, failures=failures).manifest):
        [listed] = json.loads(levelfield("list", "runs", "--json").stdout)
    assert (listed["exit_code"], listed["problem"]) == (code, "")
