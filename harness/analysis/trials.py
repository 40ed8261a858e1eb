"""Trials and blocks, gathered from the events that tell of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from harness.spec.events import (
    AnyEvent,
    BlockFinished,
    Evaluation,
    TrialFinished,
    TrialStarted,
    Window,
)


class Trial(NamedTuple):
    """A trial that ended as it should, within a block that was finished."""

    started: TrialStarted
    finished: TrialFinished
    windows: tuple[Window, ...]
    """In the order of training."""
    evaluations: tuple[Evaluation, ...]
    """Likewise."""


class Block(NamedTuple):
    """A finished block. A contender whose trial failed is missing from it."""

    group: str
    block: int
    trials: tuple[Trial, ...]


def finished_blocks(events: Iterable[AnyEvent], *, long: bool) -> tuple[Block, ...]:
    """The finished blocks of long or of short trials, in the order of finishing.

    That order, not the blocks' numbers, says which are the first ten: it cannot change any more
    when a look has been taken.
    """
    started: dict[int, TrialStarted] = {}
    finished: dict[int, TrialFinished] = {}
    windows: defaultdict[int, list[Window]] = defaultdict(list)
    evaluations: defaultdict[int, list[Evaluation]] = defaultdict(list)
    ends: dict[tuple[str, int], BlockFinished] = {}
    for event in events:
        if isinstance(event, Window):
            windows[event.trial].append(event)
        elif isinstance(event, Evaluation):
            evaluations[event.trial].append(event)
        elif isinstance(event, TrialStarted):
            started[event.trial] = event
        elif isinstance(event, TrialFinished):
            finished[event.trial] = event
        elif isinstance(event, BlockFinished) and event.long == long:
            ends.setdefault((event.group, event.block), event)

    def trial(number: int) -> Trial:
        return Trial(
            started[number],
            finished[number],
            tuple(sorted(windows[number], key=lambda window: window.first_step)),
            tuple(sorted(evaluations[number], key=lambda evaluation: evaluation.step)),
        )

    return tuple(
        Block(
            end.group,
            end.block,
            tuple(
                trial(number) for number in end.trials if number in started and number in finished
            ),
        )
        for end in ends.values()
    )
