"""A large run fits: what it takes of time is said by ``python -m tests.interface.large_run``."""

from __future__ import annotations

import pytest

from tests.interface.large_run import MEGABYTES, measured, stored_large_run

pytestmark = pytest.mark.slow


def test_a_run_of_100_000_windows_fits_the_memory_that_is_promised(tmp_path):
    _, _, megabytes = measured(stored_large_run(tmp_path))
    assert megabytes < MEGABYTES
