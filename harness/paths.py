"""Where this checkout's own files are, and where a user's go."""

from __future__ import annotations

from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds ``benchmarks/``, ``impls/`` and ``harness/``."""
BENCHMARKS = ROOT / "benchmarks"
IMPLS = ROOT / "impls"


def user_cache() -> Path:
    """The user's cache folder, shared by all clones; ``XDG_CACHE_HOME`` moves it."""
    return Path(platformdirs.user_cache_dir("levelfield"))
