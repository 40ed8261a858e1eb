from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.worker.readings import SystemTimes, read_counters, system_times

TICKS = os.sysconf("SC_CLK_TCK")


def stat(folder: Path, *rows: tuple[int, int, int]) -> Path:
    """``/proc/stat`` of so many CPUs; each row: idle, waiting for disks, stolen, in seconds."""
    total = tuple(map(sum, zip(*rows, strict=True)))
    lines = [
        f"cpu{name} 5 0 5 {idle * TICKS} {waiting * TICKS} 0 0 {stolen * TICKS} 0 0"
        for name, (idle, waiting, stolen) in zip(
            (" ", *map(str, range(len(rows)))), (total, *rows), strict=True
        )
    ]
    path = folder / "stat"
    path.write_text("\n".join([*lines, "intr 1 2 3", "ctxt 9"]) + "\n")
    return path


def test_idle_is_of_the_cpus_that_may_be_used_and_steal_of_all(tmp_path: Path) -> None:
    path = stat(tmp_path, (10, 1, 1), (20, 2, 2), (40, 4, 4))
    assert system_times(path, {0, 1, 2}) == SystemTimes(pytest.approx(7), pytest.approx(77))
    assert system_times(path, {0, 2}) == SystemTimes(pytest.approx(7), pytest.approx(55))


@pytest.mark.parametrize("cpus", [set(), {0, 7}])
def test_idle_is_unknown_where_the_file_shows_other_cpus(tmp_path: Path, cpus: set[int]) -> None:
    assert system_times(stat(tmp_path, (10, 0, 3)), cpus) == SystemTimes(pytest.approx(3), None)


@pytest.mark.parametrize(
    "text", ["", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n", "cpu  1 2\ncpu0 1 2\n"]
)
def test_a_kernel_that_shows_nothing_is_not_an_idle_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "stat").write_text(text)
    assert system_times(tmp_path / "stat", {0}) == SystemTimes(0.0, None)
    assert system_times(tmp_path / "none", {0}) == SystemTimes(0.0, None)


def test_this_kernel_shows_it() -> None:
    counters = read_counters()
    assert counters.idle_seconds is None or counters.idle_seconds > 0
