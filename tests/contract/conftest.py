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


@pytest.fixture(scope="session")
def verification(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer of ``levelfield verify``: every framework × mode × {SGD, Adam}, for real."""
    folder: Path = tmp_path_factory.mktemp("verification")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "verify", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode in (0, 3), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
