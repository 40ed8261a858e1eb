from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.datasets.download import Limits
from tests.datasets.listener import Listener
from tests.datasets.loopback_mirror import MakeMirror, Mirror
from tests.datasets.small_dataset import SmallDatasets


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The developer's own cache, data folder and proxies are out of reach."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LEVELFIELD_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "cache" / "levelfield" / "datasets"


@pytest.fixture
def datasets(tmp_path: Path) -> SmallDatasets:
    return SmallDatasets(tmp_path)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def limits() -> Limits:
    return Limits(
        connect_seconds=1, stall_seconds=0.3, tries=3, backoff_seconds=0.01, patience_seconds=10
    )


@pytest.fixture
def make_mirror() -> Iterator[MakeMirror]:
    with ExitStack() as stack:

        def make(files: Mapping[str, bytes], *, ranges: bool = True) -> Mirror:
            return stack.enter_context(Mirror(files, ranges=ranges).running())

        yield make
