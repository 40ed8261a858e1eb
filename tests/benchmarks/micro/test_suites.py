"""The launcher and the suites for real, one round each; what they say is read back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import paths
from harness.commands.micro_tools import tools_folder
from harness.console import Console
from harness.datasets.arrays import Arrays, array_path
from harness.environments.collection import Environments
from harness.environments.variables import worker_environment
from harness.spec.implementations import read_implementation
from harness.spec.recipes import read_models
from harness.worker.micro_job import MicroJob, write_job
from impls.adapter import Sgd

SUITES = paths.BENCHMARKS / "micro"
IMPLEMENTATIONS = paths.ROOT / "tests" / "commands" / "implementations"
LAUNCHER = paths.ROOT / "harness" / "worker" / "micro.py"
MODEL = read_models(paths.BENCHMARKS / "models.toml")["lenet"]
LAYERS = {
    "conv1", "sigmoid1", "pool1", "conv2", "sigmoid2", "pool2",
    "dense1", "sigmoid3", "dense2", "sigmoid4", "dense3",
}  # fmt: skip
BY_ADAPTER = {"train_step", "evaluation", "staging", "latency", "gather"}
BY_PIECES = {"forward", "forward_backward", "optimizer_step", "layer", "matmul", "copy"}
"""What needs more of an implementation than its adapter."""
EXTRA = {
    "framework", "mode", "piece", "layer", "direction", "batch_size", "examples", "flops", "bytes",
    "device", "threads", "first_call_seconds",
}  # fmt: skip
FACTS = {
    "framework", "version", "import_seconds", "build_seconds", "first_step_seconds",
    "without_pieces",
}  # fmt: skip


def test_other_pytests_pass_the_suites_by():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(SUITES)],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5, done.stdout
    assert "no tests ran" in done.stdout


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Random images, where a job expects them."""
    generator = np.random.RandomState(6)
    folder = tmp_path / "data"
    folder.mkdir()
    for field in Arrays._fields:
        high, shape = (256, (300, 28, 28)) if field.endswith("images") else (10, (300,))
        np.save(array_path(folder, field), generator.randint(0, high, shape).astype(np.uint8))
    return folder


@pytest.fixture
def measured(tmp_path: Path, data: Path) -> Callable[..., dict[str, Any]]:
    """Runs the suites of an implementation quickly; their JSON."""

    def measured(folder: Path, modes: tuple[str, ...], **changes: Any) -> dict[str, Any]:
        implementation = read_implementation(folder)
        environment = Environments().sync(implementation)
        job = MicroJob(
            implementation=implementation.name,
            package=implementation.package,
            folder=str(folder),
            model=MODEL,
            optimizer=Sgd(learning_rate=0.9),
            modes=modes,
            threads=1,
            data=str(data),
            tools=str(tools_folder(Console(), environment)),
            suites=str(SUITES),
            output=str(tmp_path / "micro.json"),
            quick=True,
            **changes,
        )
        write_job(job, tmp_path / "job.json")
        done = subprocess.run(
            [environment.python, "-I", str(LAUNCHER), str(tmp_path / "job.json")],
            cwd=tmp_path,
            env=worker_environment(implementation, "matched", 1, "cpu", home=tmp_path),
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads((tmp_path / "micro.json").read_text())
        return answer

    return measured


def told(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name of a benchmark → what is said of it beside its times."""
    return {one["name"]: one["extra_info"] for one in answer["benchmarks"]}


@pytest.mark.frameworks
def test_an_adapter_alone_gets_what_an_adapter_can_show(measured):
    answer = measured(IMPLEMENTATIONS / "plain_numpy", ("eager",), batch_sizes=(1, 8))
    found = told(answer)
    assert {extra["piece"] for extra in found.values()} == BY_ADAPTER
    assert answer["levelfield"]["without_pieces"] == {"eager": "plain_numpy has no pieces.py"}
    assert {name for name in found if "[8]" in name or "-8" in name} == {
        "test_gather[8]", "test_staging[eager-8]", "test_train_step[eager-8]",
    }  # fmt: skip


@pytest.mark.frameworks
@pytest.mark.parametrize(
    "framework",
    ["gluon", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pytorch", "keras"))],
)
def test_a_framework_with_pieces_is_measured_as_a_whole_and_in_parts(measured, framework):
    modes = ("eager",) if framework == "pytorch" else ("eager", "compiled")
    answer = measured(paths.IMPLS / framework, modes, batch_sizes=(1, 4))
    facts = answer["levelfield"]
    assert set(facts) == FACTS
    assert facts["framework"] == framework
    assert facts["import_seconds"] > 0
    assert set(facts["build_seconds"]) == set(facts["first_step_seconds"]) == set(modes)
    assert facts["without_pieces"] == {}

    found = told(answer)
    assert {extra["piece"] for extra in found.values()} == BY_ADAPTER | BY_PIECES
    for name, extra in found.items():
        assert set(extra) == EXTRA, name
        assert extra["framework"] == framework
        assert extra["first_call_seconds"] > 0
        assert (extra["piece"] == "layer") == (extra["layer"] in LAYERS), name
    assert {extra["layer"] for extra in found.values()} == {"", *LAYERS}

    step = found["test_train_step[eager-4]"]
    assert (step["mode"], step["batch_size"], step["examples"]) == ("eager", 4, 4)
    assert step["flops"] == 4 * MODEL.training_flops()
    assert found["test_forward[eager-1]"]["flops"] == MODEL.forward_flops()
    conv = found["test_layer[eager-4-conv1-forward]"]
    assert (conv["layer"], conv["direction"], conv["flops"]) == ("conv1", "forward", 4 * 172_800)
    assert found["test_layer[eager-1-pool1-forward_backward]"]["flops"] is None
    assert found["test_evaluation[eager]"]["examples"] == 1000
    assert found["test_copy"]["bytes"] == 2 * 2**26
    if "compiled" in modes:
        assert "test_layer[compiled-4-conv1-forward]" in found
        assert "test_layer[compiled-1-conv1-forward]" not in found, "each takes a compilation"
    groups = {one["name"]: one["group"] for one in answer["benchmarks"]}
    assert groups["test_train_step[eager-4]"] == "train_step 4"


@pytest.mark.frameworks
def test_a_selection_runs_alone(measured):
    answer = measured(IMPLEMENTATIONS / "plain_numpy", ("eager",), select="latency or gather")
    assert {extra["piece"] for extra in told(answer).values()} == {"latency", "gather"}
