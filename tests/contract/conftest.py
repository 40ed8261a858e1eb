"""Every implementation in its own environment, made on first use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import paths
from harness.spec.recipes import read_recipes

# Larger networks compile for minutes: `tox -e verify` has them.
LENETS = [name for name in read_recipes(paths.BENCHMARKS / "recipes.toml") if "lenet" in name]


@pytest.fixture(scope="session")
def verification(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer of ``levelfield verify`` on every LeNet, in every framework and mode, for real."""
    folder: Path = tmp_path_factory.mktemp("verification")
    chosen = [word for recipe in LENETS for word in ("-r", recipe)]
    done = subprocess.run(
        [sys.executable, "-m", "harness", "verify", "--json", *chosen],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode in (0, 3), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
