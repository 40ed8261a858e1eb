from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.datasets.arrays import digest_of_order
from harness.datasets.order import batch_order, examples_in

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


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 30))
def test_batches_of_epochs_without_end_are_counted(steps: int, size: int, examples: int) -> None:
    epoch = [min(size, examples - start) for start in range(0, examples, size)]
    assert examples_in(steps, size, examples) == sum((epoch * steps)[:steps])
