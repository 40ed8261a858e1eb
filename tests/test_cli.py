"""The command line as users meet it: listings, answers as JSON, and one clear line for mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from harness import __version__, paths


def levelfield(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        env={**os.environ, "PYTHONPATH": str(paths.ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("what", ["frameworks", "models", "recipes", "suites", "runs"])
def test_listings_are_tables_and_json(what):
    plain = levelfield("list", what)
    assert plain.returncode == 0
    assert plain.stdout.strip()
    assert isinstance(json.loads(levelfield("list", what, "--json").stdout), list)


def test_models_are_listed_with_parameters_and_shapes():
    models = json.loads(levelfield("list", "models", "--json").stdout)
    [lenet] = [model for model in models if model["name"] == "lenet"]
    assert lenet["parameters"] == 44_426
    assert lenet["layers"][-1] == {"kind": "dense", "output_shape": [10], "parameters": 850}


def test_version():
    assert levelfield("--version").stdout == f"levelfield {__version__}\n"


def test_help_names_every_command():
    text = levelfield("--help").stdout
    assert all(name in text for name in ("run", "verify", "report", "list", "env", "data"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "cup"], "No suite 'cup', expected one of cpu, gpu, smoke: did you mean cpu?"),
        (["run", "-f", "pytroch"], "did you mean pytorch?"),
        (["run", "-r", "lenet"], "No recipe 'lenet', expected one of"),
        (["run", "--mode", "fit"], "No framework has the mode fit, expected one of"),
        (["run", "--device", "tpu"], "--device is 'tpu', expected cpu, gpu or gpu:N"),
        (["run", "--budget", "soon"], "--budget is 'soon', expected a time such as"),
        (["run", "--settings", "mine"], "--settings is 'mine', expected one of matched, stock"),
        (["run", "--dataset", "cifar"], "No dataset is named 'cifar', expected one of"),
        (["run", "--data-dir", "/nowhere"], "/nowhere"),
        (["run", "--impl-dir", "/nowhere"], "--impl-dir /nowhere holds no implementation"),
        (["run", "--resume", "nothing"], "No run in nothing"),
        (["report", "nothing"], "No run in nothing"),
        (["list", "things"], "No list of 'things', expected one of"),
        (["env", "remove", "nothing"], "No environment nothing"),
        (["data", "info", "cifar"], "No dataset is named 'cifar'"),
        (["run", "--epochs", "none"], "--epochs"),
        (["nonsense"], "nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, expected, tmp_path):
    done = levelfield(*arguments)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("levelfield: ")
    assert expected in lines[0]
    assert done.stdout == ""


def test_without_a_gpu_the_gpu_suite_says_so_and_downloads_nothing():
    done = levelfield("run", "gpu")
    if done.returncode == 0:
        pytest.skip("there is a GPU here")
    assert done.returncode == 2
    assert "No GPU found for --device gpu" in done.stderr
