"""In which order a training set is gone through."""

from __future__ import annotations

import hashlib
from typing import Any

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


class OrderCursor:
    """Walks through a batch order, and hashes what it has handed out.

    Worker and harness walk with it alike, so that the harness knows which examples a trial trains
    on without being told.
    """

    def __init__(self, order: NDArray[Any]) -> None:
        """``order``: (epochs, examples) as ``batch_order`` gives it; after the last epoch comes the
        first again."""
        self._order = order
        self._epoch = 0
        self._taken = 0
        self._hash = hashlib.sha256()

    @property
    def hash(self) -> str:
        """SHA-256 of the indices taken so far, as ``Hashes.order`` defines it."""
        return self._hash.hexdigest()

    @property
    def place(self) -> tuple[int, int]:
        """Epoch, from 0, and how many of its examples have been taken."""
        return self._epoch, self._taken

    @property
    def left(self) -> int:
        """Examples of this epoch that have not been taken."""
        return int(self._order.shape[1]) - self._taken

    def require(self, examples: int) -> None:
        """The next ``examples`` lie in one epoch: what is left of this one and too little for them
        is left out."""
        if examples > self.left:
            self._epoch = (self._epoch + 1) % len(self._order)
            self._taken = 0

    def peek(self, examples: int) -> NDArray[Any]:
        """(examples,) indices that come next in this epoch; they are not taken."""
        return np.asarray(self._order[self._epoch][self._taken : self._taken + examples])

    def take(self, steps: int, size: int) -> NDArray[Any]:
        """(steps, size) indices: the next ``steps`` batches of this epoch."""
        indices = self.peek(steps * size)
        self._taken += steps * size
        self._hash.update(indices.astype("<i8").tobytes())
        return indices.reshape(steps, size)


def examples_in(steps: int, batch_size: int, examples: int) -> int:
    """How many examples the first ``steps`` batches of epochs without end hold.

    The last batch of each epoch is what is left of its ``examples``.
    """
    epochs, rest = divmod(steps, -(-examples // batch_size))
    return epochs * examples + min(rest * batch_size, examples)
