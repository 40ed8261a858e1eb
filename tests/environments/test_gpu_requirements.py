"""Every requirement set for GPUs can be had: pip finds versions that go together."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import virtualenv
from packaging.utils import canonicalize_name

from harness import paths
from harness.environments.installation import python_of
from harness.environments.interpreters import find_interpreter
from harness.environments.requirements import wanted_environment
from harness.spec.implementations import read_implementations

FRAMEWORKS = {
    name: one for name, one in read_implementations(paths.IMPLS).items() if one.role == "framework"
}
SETS = [
    pytest.param(name, python, loader, id=f"{name}-{python}{'-loader' * loader}")
    for name, one in FRAMEWORKS.items()
    for python in one.python[:1]
    for loader in (False, True)
    if not loader or one.loader_requirements("gpu").exists()
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "python", "loader"), SETS)
def test_pip_finds_versions_that_go_together(name, python, loader, tmp_path) -> None:
    """Asked of the package index itself, but nothing is installed.

    ``fast-deps``: where the index does not offer metadata apart, pip would fetch whole wheels to
    look into them, which are gigabytes here; so it reads their last bytes.
    """
    interpreter = find_interpreter(python)
    if interpreter is None:
        pytest.skip(f"no Python {python} here")
    implementation = FRAMEWORKS[name]
    wanted = wanted_environment(implementation, "gpu", python, loader=loader)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("".join(f"{line}\n" for line in wanted.requirements))
    virtualenv.cli_run(
        ["--python", interpreter.path, "--no-download", str(tmp_path / "made")],
        setup_logging=False,
    )
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            str(python_of(tmp_path / "made")), "-I", "-m", "pip", "install", "--dry-run",
            "--ignore-installed", "--no-input", "--progress-bar", "off", "--only-binary", ":all:",
            "--use-feature", "fast-deps", "--report", str(report), "-r", str(requirements),
        ],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {
        canonicalize_name(one["metadata"]["name"]): one["metadata"]["version"]
        for one in json.loads(report.read_text())["install"]
    }
    assert canonicalize_name(wanted.package) in found
    cuda = implementation.gpu.cuda.split(".")[0]
    libraries = {each for each in found if each.startswith("nvidia-")}
    assert any(each.endswith(f"cu{cuda}") for each in libraries), libraries


def test_what_differs_from_the_cpus_set_is_what_the_gpu_needs() -> None:
    """The same framework in the same version, and nothing else of the suite's own."""
    for implementation in FRAMEWORKS.values():
        python = implementation.python[0]
        on_cpu, on_gpu = (
            wanted_environment(implementation, device, python).requirements
            for device in ("cpu", "gpu")
        )
        dropped, added = set(on_cpu) - set(on_gpu), set(on_gpu) - set(on_cpu)
        versions = {line.split("==")[1] for line in dropped}
        build = {line for line in added if not line.startswith("nvidia-")}
        assert {line.split("==")[1] for line in build} == versions
        assert all("==" in line for line in added)
