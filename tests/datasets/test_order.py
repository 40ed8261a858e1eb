from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.datasets.arrays import digest_of_order
from harness.datasets.order import OrderCursor, batch_order

seeds = st.integers(0, 2**32 - 1)


def test_the_stream_is_frozen() -> None:
    assert batch_order(0, 2, 10).tolist() == [
        [3, 7, 6, 4, 1, 0, 2, 8, 5, 9],
        [9, 4, 0, 8, 1, 5, 3, 2, 6, 7],
    ]
    digest = "d9f7308efb4eb4a638e97f78aa9b63dd45e556eda2906766068f40d26d8c360e"
    assert digest_of_order(batch_order(7, 3, 60_000)) == digest


@given(seeds, st.integers(0, 4), st.integers(1, 300))
def test_each_epoch_is_a_permutation(seed: int, epochs: int, examples: int) -> None:
    order = batch_order(seed, epochs, examples)
    assert order.shape == (epochs, examples)
    assert order.dtype == np.int32
    assert (np.sort(order, axis=1) == np.arange(examples)).all()


@given(seeds, st.integers(1, 4))
def test_an_order_does_not_depend_on_the_epochs_that_follow(seed: int, epochs: int) -> None:
    np.testing.assert_array_equal(batch_order(seed, epochs, 50), batch_order(seed, 5, 50)[:epochs])


@given(seeds)
def test_epochs_and_seeds_differ(seed: int) -> None:
    first, second = batch_order(seed, 2, 100)
    other = batch_order((seed + 1) % 2**32, 1, 100)[0]
    assert (first != second).any()
    assert (first != other).any()


EPOCHS, EXAMPLES = 3, 29
MOVES = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 7)), max_size=30)
"""Steps, and the size of their batches: at most as many examples together as an epoch has."""


@given(MOVES)
def test_a_cursor_hands_out_every_example_of_an_epoch_at_most_once(
    moves: list[tuple[int, int]],
) -> None:
    order = batch_order(5, EPOCHS, EXAMPLES)
    cursor = OrderCursor(order)
    taken: list[list[int]] = [[]]
    handed = []
    for steps, size in moves:
        before = cursor.place
        cursor.require(steps * size)
        if cursor.place != before:
            assert before[1] + steps * size > EXAMPLES
            assert cursor.place == ((before[0] + 1) % EPOCHS, 0)
            taken.append([])
        assert cursor.left >= steps * size
        peeked = cursor.peek(steps * size)
        indices = cursor.take(steps, size)
        assert indices.shape == (steps, size)
        assert indices.ravel().tolist() == peeked.tolist()
        taken[-1] += indices.ravel().tolist()
        handed.append(indices.ravel())
    for number, epoch in enumerate(taken):
        assert epoch == order[number % EPOCHS][: len(epoch)].tolist()
        assert len(set(epoch)) == len(epoch) <= EXAMPLES
    assert cursor.hash == digest_of_order(np.concatenate(handed) if handed else np.empty(0))


def test_what_fits_exactly_is_not_left_out_and_what_was_only_looked_at_is_not_taken() -> None:
    order = batch_order(5, EPOCHS, EXAMPLES)
    cursor = OrderCursor(order)
    cursor.take(2, 10)
    cursor.require(9)
    assert (cursor.place, cursor.left) == ((0, 20), 9)
    digest = cursor.hash
    assert cursor.peek(9).tolist() == order[0][20:].tolist()
    assert (cursor.place, cursor.hash) == ((0, 20), digest)
    cursor.require(10)
    assert (cursor.place, cursor.left, cursor.hash) == ((1, 0), EXAMPLES, digest)


def test_after_the_last_epoch_comes_the_first_again() -> None:
    order = batch_order(5, EPOCHS, EXAMPLES)
    cursor = OrderCursor(order)
    for _ in range(EPOCHS):
        cursor.require(20)
        cursor.take(1, 20)
    cursor.require(20)
    assert cursor.place == (0, 0)
    assert cursor.take(1, 20)[0].tolist() == order[0][:20].tolist()
