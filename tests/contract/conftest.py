"""Every implementation in its own environment, made on first use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import paths
from harness.environments.collection import Environments
from harness.spec.implementations import read_implementation


@pytest.fixture(scope="session")
def verification(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer of ``levelfield verify --all``: every recipe × framework × mode, for real."""
    folder: Path = tmp_path_factory.mktemp("verification")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "verify", "--all", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode in (0, 3), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="session")
def answer_in() -> Callable[..., Any]:
    """Runs a program in a framework's own environment; gives what it prints last, from JSON."""

    def answer(
        framework: str, program: str, *arguments: str, loader: bool = False, **how: Any
    ) -> Any:
        implementation = read_implementation(paths.IMPLS / framework)
        environment = Environments().sync(implementation, "cpu", loader=loader)
        done = subprocess.run(
            [environment.python, "-c", program, *arguments],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            **how,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return answer
