from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import paths

IMPLEMENTATIONS = Path(__file__).parent / "implementations"

Levelfield = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "harness", *arguments]


def surroundings() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(paths.ROOT), "COLUMNS": "200"}


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """For ``XDG_CACHE_HOME``: the user's environments and data, and nothing that runs have kept."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "levelfield").mkdir()
    for name in ("environments", "datasets", "oracle"):
        (paths.user_cache() / name).mkdir(parents=True, exist_ok=True)
        (cache / "levelfield" / name).symlink_to(paths.user_cache() / name)
    return str(cache)


@pytest.fixture
def levelfield(tmp_path: Path) -> Levelfield:
    """Runs the real command line in a process of its own, in a folder of its own."""

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env={**surroundings(), **variables},
            capture_output=True,
            text=True,
            timeout=900,
        )

    return call
