from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.environments.memory import memory_shortfall

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
