"""Whatever a worker prints: its log, and what is told of it, stay small."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.execution.logs import (
    DETAIL_BYTES,
    KEPT_BYTES,
    MOST_BYTES,
    REASON_LETTERS,
    TAIL_BYTES,
    bounded_detail,
    keep_small,
    last_lines,
    opened_log,
    tail_of,
)
from harness.execution.process import WorkerError, WorkerProcess


def test_the_last_lines_are_told(tmp_path):
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(100)))
    assert tail_of(tmp_path / "log").splitlines() == [f"line {each}" for each in range(80, 100)]
    assert tail_of(tmp_path / "absent") == ""


def test_a_line_without_end_is_told_in_part(tmp_path):
    (tmp_path / "log").write_bytes(b"x" * 10**7)
    assert len(tail_of(tmp_path / "log").encode()) <= TAIL_BYTES
    (tmp_path / "log").write_bytes("é".encode() * 10**6 + b"\nRuntimeError: last\n\xff")
    assert "RuntimeError: last" in tail_of(tmp_path / "log")


def test_a_log_that_grows_loses_its_middle_while_it_is_written(tmp_path):
    path = tmp_path / "log"
    with opened_log(path) as worker:
        worker.write(b"first\n")
        for _ in range(3):
            for _ in range(MOST_BYTES // 2**20 + 1):
                worker.write(b"y" * 2**20)
            keep_small(path)
            assert path.stat().st_size < 3 * KEPT_BYTES
        worker.write(b"\nlast\n")
    content = path.read_bytes()
    assert content.startswith(b"first\n")
    assert content.endswith(b"y\nlast\n")
    assert b"bytes left out" in content
    assert b"\0" not in content
    assert last_lines(path)[-1] == "last"


def test_a_small_log_stays_as_it_is(tmp_path):
    with opened_log(tmp_path / "log") as worker:
        worker.write(b"short\n")
    keep_small(tmp_path / "log")
    keep_small(tmp_path / "absent")
    assert (tmp_path / "log").read_bytes() == b"short\n"


def test_a_failure_is_told_in_bounded_words():
    error = WorkerError("import", "a\nb " + "x" * 10**6, "y\n" * 10**6 + "last")
    assert len(error.reason) == REASON_LETTERS
    assert error.reason.startswith("a b xxx")
    assert len(error.detail.encode()) <= DETAIL_BYTES + 100
    assert error.detail.endswith("last")
    assert bounded_detail("short\nindeed") == "short\nindeed"
    assert bounded_detail("\ud800") == "?"


def test_a_worker_that_floods_its_log_ends_as_a_small_failure(tmp_path):
    worker = tmp_path / "flood.py"
    worker.write_text(
        "import sys\n"
        "for _ in range(40):\n"
        "    sys.stdout.write('z' * 2**20)\n"
        "    sys.stdout.flush()\n"
        "sys.exit(3)\n"
    )
    log = tmp_path / "log"
    with (
        WorkerProcess(Path(sys.executable), {}, log, bootstrap=worker) as process,
        pytest.raises(WorkerError, match="ended with status 3") as caught,
    ):
        process.greet()
    assert 0 < len(caught.value.detail.encode()) <= TAIL_BYTES
    assert log.stat().st_size <= MOST_BYTES
