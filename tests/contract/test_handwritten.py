"""The loops written by hand: short, on their own, and training what the adapters train."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import paths
from harness.datasets.search import find_dataset
from harness.environments.collection import Environments
from harness.spec.cells import INPUTS
from harness.spec.implementations import read_implementation

SCRIPTS = sorted((paths.BENCHMARKS / "handwritten").glob("*.py"))
FOR_IMAGES = {"PIL"}
"""What comes with a loader's libraries."""


def framework_of(path: Path) -> str:
    return path.stem.removesuffix("_by_hand")


OURS = [framework_of(path) for path in SCRIPTS]


@pytest.mark.parametrize("path", SCRIPTS, ids=framework_of)
def test_no_package_is_named_like_a_script(path: Path):
    """Beside a ``pytorch.py``, torchvision's ``import pytorch.vision`` ran that script again."""
    assert path.stem == f"{framework_of(path)}_by_hand"
    assert (paths.IMPLS / framework_of(path) / "impl.toml").is_file()


@pytest.mark.parametrize("path", SCRIPTS, ids=framework_of)
def test_a_script_is_short_and_imports_nothing_of_ours(path: Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 130
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    foreign = imported - sys.stdlib_module_names - FOR_IMAGES
    assert "numpy" in foreign
    assert len(foreign) > 1
    assert foreign <= required(framework_of(path))


def required(name: str) -> set[str]:
    """What an implementation's requirements call its libraries, builds for a device left out."""
    files = (paths.IMPLS / name).glob("requirements-*.txt")
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return {re.split(r"[^\w.]", line)[0] for line in lines}


@pytest.mark.frameworks
@pytest.mark.slow
@pytest.mark.parametrize("source", INPUTS)
@pytest.mark.parametrize("path", SCRIPTS, ids=framework_of)
def test_a_script_runs_by_itself(path: Path, source: str, tmp_path: Path):
    implementation = read_implementation(paths.IMPLS / framework_of(path))
    environment = Environments().sync(implementation, "cpu", loader=source != "resident")
    data = find_dataset("fashion-mnist-20k", None).folder
    how = ("--data", data, "--windows", "2", "--input", source, "--workers", "2")
    done = subprocess.run(
        [environment.python, str(path), *how],
        cwd=tmp_path,
        env={name: os.environ[name] for name in ("PATH", "HOME")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [len(line) for line in lines] == [6, 6]
    for seconds, _, loss_sum, correct, rate, unit in lines:
        assert float(rate) == pytest.approx(20 * 256 / float(seconds), rel=0.01)
        assert 1 < float(loss_sum) / (22 * 256) < 5
        assert 0 < float(correct) < 22 * 256
        assert unit == "examples/s"


@pytest.mark.frameworks
@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "frameworks"),
    [
        ("resident", OURS),
        # An epoch of a loader takes seconds; the others are tried in the campaign.
        ("loader", ["pytorch"]),
        *(
            pytest.param(source, OURS, marks=pytest.mark.campaign)
            for source in INPUTS
            if source != "resident"
        ),
    ],
)
def test_scripts_are_proven_and_measured_against_adapters(
    source: str, frameworks: list[str], tmp_path: Path
):
    few = ("--batch", "256", "--blocks", "1", "--rounds", "1", "--input", source)
    chosen = [word for each in frameworks for word in ("-f", each)]
    command = ["tax", "--dataset", "fashion-mnist-20k", *few, *chosen, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    taxes = json.loads(done.stdout)["taxes"]
    assert [tax["framework"] for tax in taxes] == frameworks
    for tax in taxes:
        assert (tax["input"], tax["blocks"]) == (source, 1)
        # Also with a loader: both shuffle from the same seed, and see the same batches.
        assert tax["times_handwritten_rate"] > 0
        if source == "resident":
            assert tax["first_window_deviation"] <= tax["first_window_tolerance"]
