from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import paths
from harness.environments.memory import (
    batches_bytes,
    memory_shortfall,
    shared_memory_left_bytes,
    shared_memory_shortfall,
)
from harness.spec.recipes import read_models

needs = st.lists(st.integers(0, 10_000), min_size=1, max_size=6)


@given(needs, st.integers(0, 2**36))
def test_peaks_add_up(needs_mib: list[int], available_bytes: int) -> None:
    fits = sum(needs_mib) * 2**20 <= available_bytes
    assert (memory_shortfall(needs_mib, available_bytes) is None) == fits


def test_the_line_says_need_free_and_what_to_do() -> None:
    assert memory_shortfall([900, 900, 1248], 2 * 2**30) == (
        "Not enough memory: 3 workers, alive together, need 3.0 GiB, 2.0 GiB is free: "
        "close other programs, or compare fewer at once with -f, --mode or --no-aa"
    )
    line = memory_shortfall([2048], 2**30)
    assert line is not None and "1 worker needs 2.0 GiB, 1.0 GiB is free" in line


def test_a_loader_s_processes_have_batches_ahead_and_one_in_use() -> None:
    models = read_models(paths.BENCHMARKS / "models.toml")
    assert batches_bytes(models["lenet"], 256, 2) == pytest.approx(
        6.6 * 256 * 28 * 28 * 4, rel=1e-6
    )
    assert batches_bytes(models["alexnet"], 128, 1) > 4 * 128 * 224 * 224 * 4
    assert batches_bytes(models["alexnet"], 128, 0) == 0


def test_shared_memory_that_is_too_small_is_told_beforehand() -> None:
    line = shared_memory_shortfall(4_014_080, 2**20)
    assert line == (
        "Not enough shared memory: the loaders' processes hand over 3.8 MiB of batches, /dev/shm "
        "has 1.0 MiB left: enlarge it (docker run --shm-size=8m), or choose fewer --loader-workers"
    )
    assert shared_memory_shortfall(2**20, 2**20) is None
    assert shared_memory_shortfall(2**20, None) is None


def test_what_is_left_is_the_file_system_s_own_word(tmp_path: Path) -> None:
    assert shared_memory_left_bytes(tmp_path / "missing") is None
    left = shared_memory_left_bytes(tmp_path)
    assert left is not None and 0 < left <= shutil.disk_usage(tmp_path).total
