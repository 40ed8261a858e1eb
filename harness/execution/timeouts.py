"""How long a silent worker is waited for: by what it was asked to do, and in our own time.

A limit is there to notice a worker that will never answer, not to judge one that is slow. So it
follows from the work, at a pace that no machine falls below on which a run would ever end:
``SLOWEST_FLOPS`` a second and thread, ``SLOWEST_STEP_SECONDS`` for each step's own overhead, and
``SLOWEST_EXAMPLE_SECONDS`` for decoding, resizing and handing over an example in a loader. No limit
is below ``LEAST_SECONDS``, in which a framework compiles.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from harness.worker.wire import Command, Finish, Job
from impls import costs
from impls.adapter import Optimizer
from impls.definition import Model

LEAST_SECONDS = 900.0
SLOWEST_FLOPS = 4e9
"""Of a thread in a second: about a tenth of what a core does for AlexNet in these frameworks."""
SLOWEST_STEP_SECONDS = 1.0
SLOWEST_EXAMPLE_SECONDS = 0.01
LONGEST_SLICE_SECONDS = 1.0
"""After which somebody who waits looks whether time went on as usual."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds after which a silent worker is taken for hung, by what it was asked to do."""

    hello: float = 60
    ready: float = LEAST_SECONDS
    """Import, build, compile and warm-up together."""
    answer: float = LEAST_SECONDS
    """One window, evaluation or proof."""
    end: float = 30

    def after(self, command: Command) -> float:
        """Seconds within which ``command`` has to be answered."""
        if isinstance(command, Job):
            return self.ready
        return self.end if isinstance(command, Finish) else self.answer


class Work(NamedTuple):
    """What one answer takes at least."""

    flops: float
    steps: int
    examples: int

    def seconds(self, threads: int) -> float:
        """The longest that it can take where a run would ever end."""
        slow = (
            self.flops / (SLOWEST_FLOPS * max(1, threads))
            + self.steps * SLOWEST_STEP_SECONDS
            + self.examples * SLOWEST_EXAMPLE_SECONDS
        )
        return max(LEAST_SECONDS, slow)


def training(model: Model, optimizer: Optimizer, batch_size: int, steps: int) -> Work:
    """``steps`` steps of ``batch_size`` examples."""
    flops = steps * costs.train_step(model, optimizer, batch_size).flops
    return Work(flops, steps, steps * batch_size)


def evaluation(model: Model, examples: int) -> Work:
    """A forward pass of each of ``examples``."""
    return Work(costs.forward(model, examples).flops, 1, examples)


def of_job(
    job: Job,
    steps: int,
    train_examples: int,
    test_examples: int,
    asked_seconds: float | None = None,
) -> Timeouts:
    """Those of a worker that computes ``job``.

    Args:
        job: What is trained. The oracle has it too, whose steps are slower, and fewer.
        steps: The most that one answer takes: of a proof, of a window, of an epoch's fifth.
        train_examples: Of the set that a loader goes through.
        test_examples: Of the set that is evaluated.
        asked_seconds: See ``timeouts_of``.
    """
    setup = job.setup
    model, optimizer, size = setup.model, setup.optimizer, setup.batch_size
    looking_through = Work(0.0, 0, train_examples if job.loader is not None else 0)
    return timeouts_of(
        training(model, optimizer, size, 1 + (job.warm_up_steps or 0)),
        training(model, optimizer, size, steps),
        evaluation(model, test_examples),
        looking_through,
        threads=setup.threads,
        asked_seconds=asked_seconds,
    )


def timeouts_of(
    warm_up: Work, *answers: Work, threads: int, asked_seconds: float | None = None
) -> Timeouts:
    """Those of a worker that warms up by ``warm_up`` and is then asked for ``answers``.

    ``asked_seconds``: what the user set in place of what would follow, for each answer.
    """
    if asked_seconds is not None:
        return Timeouts(ready=asked_seconds, answer=asked_seconds)
    return Timeouts(
        ready=LEAST_SECONDS + warm_up.seconds(threads),
        answer=max((each.seconds(threads) for each in answers), default=LEAST_SECONDS),
    )


class Patience:
    """Seconds of waiting, of which only those count that this process was awake for.

    A harness that was suspended (Ctrl-Z, a frozen container, a sleeping laptop) suspended its
    workers too, or at least did not read what they said. So it waits in slices, and a slice that
    took far longer than it should counts as one.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = seconds
        self._clock = clock
        self._began: float | None = None
        self._slice = 0.0

    def next_slice(self) -> float:
        """How long to wait before asking again; 0: patience is at its end."""
        now = self._clock()
        if self._began is not None:
            self._left -= min(now - self._began, 2 * self._slice)
        self._slice = max(0.0, min(LONGEST_SLICE_SECONDS, self._left))
        self._began = now
        return self._slice
