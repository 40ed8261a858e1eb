"""``levelfield export`` as users and other programs meet it."""

from __future__ import annotations

import csv
import io
import json
import subprocess

import pytest

from harness.spec.manifest import Run
from tests.analysis.golden import stored_run

from .conftest import command, surroundings
from .stored import store

pytestmark = pytest.mark.heavy


def test_a_table_goes_to_standard_output_and_nothing_else_does(levelfield, tmp_path):
    store(stored_run("faster"), tmp_path)
    done = levelfield("export", "latest", "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 5 * 4 * 2
    assert {row["run"] for row in rows} == {"made-up"}


@pytest.mark.parametrize("format_", ["csv", "parquet", "github", "bmf"])
def test_a_file_is_written_and_the_answer_says_so(levelfield, tmp_path, format_):
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    folder = store(stored_run("faster"), tmp_path)
    done = levelfield("export", str(folder), "--format", format_, "--output", "there", "--json")
    assert json.loads(done.stdout) == {
        "run": "made-up",
        "format": format_,
        "output": "there",
        "entries": 40 if format_ in ("csv", "parquet") else 3,
    }
    assert (tmp_path / "there").stat().st_size > 100


def test_cells_that_are_left_out_are_named_beside_the_output(levelfield, tmp_path):
    store(stored_run("parity_failed"), tmp_path)
    done = levelfield("export", "made-up", "--format", "bmf")
    assert [name.split("/")[1] for name in json.loads(done.stdout)] == ["alpha-1.0", "beta-1.0"]
    [line] = done.stderr.splitlines()
    assert line.startswith("Warning: Left out: lenet-sgd/gamma-1.0/eager/resident/cpu-2t: ")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    store(stored_run("look_2_decides"), tmp_path)
    export = " ".join(command("export", "made-up", "--format", "csv"))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {export} | head -n 1"],
        cwd=tmp_path, env=surroundings(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--format", "parquet"), "--format parquet writes bytes, expected --output"),
        (("--format", "csv", "--json"), "--json is an answer, expected --output"),
        (("--format", "xml"), "'xml' is not one of 'csv', 'parquet', 'github', 'bmf'"),
        ((), "Missing option '--format'. Choose from: csv, parquet, github, bmf"),
        (("--format", "csv", "--output", "/nowhere/x"), "/nowhere/x can't be written"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(levelfield, tmp_path, arguments, expected):
    store(stored_run("faster"), tmp_path)
    done = levelfield("export", "made-up", *arguments)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert expected in line
    assert done.stdout == ""


def test_a_run_without_finished_blocks_has_nothing_to_export(levelfield, tmp_path):
    run = stored_run("faster")
    store(Run(manifest=run.manifest, events=run.events[:5]), tmp_path)
    done = levelfield("export", "made-up", "--format", "github")
    assert done.returncode == 2
    assert "holds no finished block to export" in done.stderr.splitlines()[-1]
    assert done.stdout == ""
