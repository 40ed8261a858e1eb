"""In which order a training set is gone through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def batch_order(seed: int, epochs: int, examples: int) -> NDArray[np.int32]:
    """(epochs, examples) int32: each row is a permutation of 0 to ``examples`` - 1.

    NumPy's ``RandomState`` gives the same stream in every version (NEP 19). Each epoch has a
    generator of its own, so an order does not depend on how many epochs are asked for.

    ``seed``: 0 to 2³² - 1.
    """
    order = np.empty((epochs, examples), np.int32)
    for epoch in range(epochs):
        order[epoch] = np.random.RandomState([seed, epoch]).permutation(examples)
    return order


def examples_in(steps: int, batch_size: int, examples: int) -> int:
    """How many examples the first ``steps`` batches of epochs without end hold.

    The last batch of each epoch is what is left of its ``examples``.
    """
    epochs, rest = divmod(steps, -(-examples // batch_size))
    return epochs * examples + min(rest * batch_size, examples)
