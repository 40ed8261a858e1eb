"""Which windows a trial consists of, and in which order contenders take their turns. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from harness.worker.wire import Train

LEAD_IN_STEPS = 2
POINTS_PER_EPOCH = 5


def epoch_windows(examples: int, batch_size: int) -> list[Train]:
    """The windows of one whole epoch: at most five, about equal, the partial batch after the last.

    Every whole batch is trained once, in a lead-in or in a timed step.
    """
    whole = examples // batch_size
    points = max(1, min(POINTS_PER_EPOCH, whole // (LEAD_IN_STEPS + 1)))
    edges = [round(whole * point / points) for point in range(points + 1)]
    windows = []
    for start, end in itertools.pairwise(edges):
        lead_in = min(LEAD_IN_STEPS, end - start - 1)
        windows.append(Train(lead_in=lead_in, steps=end - start - lead_in, partial=end == whole))
    return windows


def turns(seed: int, block: int, contenders: int, rounds: int) -> Iterator[list[int]]:
    """For each round, the contenders' numbers in an order drawn anew."""
    generator = np.random.RandomState([seed, block])
    for _ in range(rounds):
        yield [int(number) for number in generator.permutation(contenders)]


def seats(seed: int, block: int, contenders: int) -> list[int]:
    """The contenders' numbers in the order in which a block starts them, drawn anew for each block.

    What a place brings, such as memory that is still in one piece for whoever starts first, then
    falls on all alike, on the reference's second copy too.
    """
    generator = np.random.RandomState([seed, block, contenders])
    return [int(number) for number in generator.permutation(contenders)]


def equal_step_epochs(epochs: int, batch_size: int, examples: int, asked_examples: int) -> int:
    """Epochs of a smaller dataset with at least as many steps as ``epochs`` of the asked one."""
    asked_steps = epochs * -(-asked_examples // batch_size)
    return -(-asked_steps // -(-examples // batch_size))
