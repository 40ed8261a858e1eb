from __future__ import annotations

from pathlib import Path

import pytest

from .shared_cache import shared_cache


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for ``XDG_CACHE_HOME`` in which the saboteurs have their environments."""
    return shared_cache(tmp_path_factory.mktemp("cache"))
