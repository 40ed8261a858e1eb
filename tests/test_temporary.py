"""Temporary folders: what a kill leaves goes with the next one that is made."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness import paths
from harness.temporary import place, temporary_folder

HOLD = """
import sys
from harness.temporary import temporary_folder
with temporary_folder("held") as folder:
    (folder / "large").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["TMPDIR", "XDG_CACHE_HOME"])
def variables(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setenv(request.param, str(tmp_path))
    assert tmp_path in place().parents


def holder() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=paths.ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_gone_when_it_is_left(variables):
    with temporary_folder("proof") as folder:
        assert folder.is_dir()
        assert list(folder.iterdir()) == []
        (folder / "x").write_bytes(b"x")
    assert list(place().iterdir()) == []


def test_what_a_kill_leaves_goes_and_what_is_used_stays(variables):
    killed, left = holder()
    working, used = holder()
    killed.kill()
    killed.communicate()
    assert left.exists()
    with temporary_folder("proof"):
        assert not left.exists()
        assert (used / "large").exists()
    working.communicate("")
    assert list(place().iterdir()) == []


def test_sockets_in_it_have_names_that_are_short_enough(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100)
    monkeypatch.setenv("TMPDIR", str(deep))
    with temporary_folder("worker") as usual, temporary_folder("worker", for_sockets=True) as short:
        assert deep in usual.parents and deep not in short.parents
        name = short / "pymp-12345678" / "listener-12345678"
        name.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(name))
    assert not short.exists()


def test_a_place_that_can_not_be_written_is_no_trouble(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    with temporary_folder("proof") as folder:
        (folder / "x").write_bytes(b"x")
    assert not folder.exists()
