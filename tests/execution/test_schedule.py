from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.execution.schedule import epoch_windows, equal_step_epochs, seats, turns


@given(st.integers(1, 100_000), st.integers(1, 512))
def test_every_whole_batch_is_trained_once(examples, batch_size):
    if examples < batch_size:
        examples += batch_size
    windows = epoch_windows(examples, batch_size)
    assert sum(window.lead_in + window.steps for window in windows) == examples // batch_size
    assert all(window.steps >= 1 and 0 <= window.lead_in <= 2 for window in windows)
    assert [window.partial for window in windows] == [False] * (len(windows) - 1) + [True]
    assert len(windows) <= 5


def test_the_epoch_of_the_recipe_has_five_points():
    windows = epoch_windows(60_000, 256)
    assert [window.lead_in + window.steps for window in windows] == [47, 47, 46, 47, 47]


@given(st.integers(0, 100), st.integers(1, 50), st.integers(1, 6), st.integers(1, 20))
def test_everyone_has_one_turn_a_round(seed, block, contenders, rounds):
    drawn = list(turns(seed, block, contenders, rounds))
    assert len(drawn) == rounds
    assert all(sorted(order) == list(range(contenders)) for order in drawn)
    assert drawn == list(turns(seed, block, contenders, rounds))


def test_orders_differ_from_block_to_block():
    assert list(turns(0, 1, 4, 10)) != list(turns(0, 2, 4, 10))


@given(st.integers(0, 100), st.integers(1, 50), st.integers(1, 6))
def test_everyone_is_started_once_a_block(seed, block, contenders):
    drawn = seats(seed, block, contenders)
    assert sorted(drawn) == list(range(contenders))
    assert drawn == seats(seed, block, contenders)


@pytest.mark.parametrize("contender", range(4))
def test_every_contender_has_every_seat_about_as_often(contender):
    places = [seats(0, block, 4).index(contender) for block in range(1, 401)]
    # Of 400 draws 100 ± 8.7 fall on a seat: four standard deviations and a half, 16 counts.
    assert all(61 <= places.count(place) <= 139 for place in range(4))


def test_the_subset_trains_as_many_steps_as_the_full_set():
    epochs = equal_step_epochs(5, 256, 20_000, 60_000)
    assert epochs == 15
    assert epochs * 79 >= 5 * 235
