"""The doctor as a process of its own."""

from __future__ import annotations

import json

import pytest

from .conftest import IMPLEMENTATIONS

pytestmark = pytest.mark.heavy


def test_looking_alone_measures_nothing(levelfield):
    done = levelfield("doctor", "--seconds", "0", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {one["mark"] for one in answer["findings"]} <= {"ok", "look", "unknown"}
    assert (answer["measured"], answer["spread"], answer["resolutions"]) == ("", None, [])


def test_without_environments_a_matrix_product_stands_in(levelfield, tmp_path):
    done = levelfield("doctor", "--seconds", "1", XDG_CACHE_HOME=str(tmp_path / "empty"))
    assert done.returncode == 0, done.stderr
    assert "There is no environment of" in done.stderr
    assert "a matrix product" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].strip() == "This machine"
    assert lines[-2].startswith("Against itself, a matrix product ran at ")
    assert lines[-1].startswith("Differences that this machine can show, four times of five: in 5 ")
    assert not (tmp_path / "empty" / "levelfield" / "environments").exists()


@pytest.mark.frameworks
def test_a_worker_runs_against_itself(levelfield, tmp_path):
    numpy = ("-f", "plain_numpy", "--impl-dir", str(IMPLEMENTATIONS))
    synced = levelfield("env", "sync", *numpy)
    assert synced.returncode == 0, synced.stderr
    done = levelfield("doctor", "--seconds", "1", *numpy, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["measured"].startswith("Plain NumPy ")
    assert answer["spread"]["blocks"] == 2, "at least two, however few seconds there are"
    assert answer["block_seconds"] > 0
    assert [one["minutes"] for one in answer["resolutions"]] == [5, 15, 60]
    assert answer["summary"].startswith("Differences that this machine can show")


@pytest.mark.parametrize("mistake", [("--seconds", "-1"), ("-f", "nobody")])
def test_a_mistake_is_one_line(levelfield, mistake):
    done = levelfield("doctor", *mistake)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
