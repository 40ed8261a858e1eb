"""What the suite's own layers cost: an adapter's rate ÷ the rate of the loop written by hand.

Both were contenders of the same blocks. As in ``samples``: per block the median over rounds of
the log ratio of paired windows' rates, over all finished blocks the mean with Student's t-interval
of confidence 95 %. It is an estimate held against a goal and no test: ``met`` where the whole
interval lies at or above the goal, ``missed`` where it lies below, else ``open``.

Both have to train the same thing in their timed windows too, not only in the proof: the first
windows of a block start from the same weights on the same batches, and their losses may differ by
``FIRST_WINDOW_TOLERANCE``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.analysis.deviations import relative_deviation_of_loss
from harness.analysis.estimate import Estimate, Interval
from harness.analysis.observations import Observations, once
from harness.analysis.protocol import LEAST_BLOCKS
from harness.analysis.rules import GOAL_CONFIDENCE, goal_word
from harness.analysis.samples import Contender, Sample, log_ratios, mean_log
from harness.analysis.trials import Block
from harness.spec.cells import HANDWRITTEN, Cell, Input

LARGE_BATCH = 256
GOAL_OF_LARGE_BATCHES = 0.99
GOAL_OF_SMALL_BATCHES = 0.95
GOAL_OF_LOADERS = 0.95
FIRST_WINDOW_TOLERANCE = 1e-6
"""Of the loss of a first window, relatively. A framework's float32 parts from its float64 by 1.2e-8
at the most in 162 steps of 32 (9 seeds), by 2.6e-8 in 22 steps of 256 (2 seeds); a
learning rate that is 1 % off parts them by 4e-6 and 3e-4 at the least."""

Outcome = Literal["met", "missed", "open", "not_comparable", "not_measured"]


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter against the loop written by hand, at one batch size."""

    group: str
    framework: str
    batch_size: int
    input: Input
    loader_workers: int
    adapter: str
    handwritten: str
    """Cell ids."""
    outcome: Outcome
    """``open``: the interval holds the goal, or there are fewer than 5 blocks. ``not_comparable``:
    one of the two failed parity, or their first windows differ."""
    goal: float
    """The least ratio that is aimed at."""
    times_handwritten_rate: float | None
    """Examples/s of the adapter ÷ those of the loop written by hand."""
    interval: Interval | None
    """Of that ratio, 95 %; nothing below 2 blocks."""
    noise_floor: Interval | None
    """The loop written by hand against its own second copy, likewise."""
    blocks: int
    first_window_deviation: float | None
    """Largest |a−b| ÷ |b| of the loss of the first windows of a block, b being that of the loop
    written by hand: they trained on the same batches from the same weights. Nothing where no block
    has both, or where a loss is not a finite number."""
    first_window_tolerance: float = FIRST_WINDOW_TOLERANCE
    """Beyond it the two are not comparable."""

    @property
    def first_windows_differ(self) -> bool:
        """Whether they were measured and don't agree."""
        resident = self.input == "resident"
        return self.blocks > 0 and resident and not _within(self.first_window_deviation)


@once
def taxes(run: Observations) -> tuple[Tax, ...]:
    """One for each pair of the run, in the order of the plan."""
    found = []
    for group in run.manifest.plan.groups:
        members = [run.cells[cell] for cell in group.cells]
        by_hand = [cell for cell in members if cell.variant.startswith(HANDWRITTEN)]
        adapters = [cell for cell in members if cell not in by_hand]
        found += [_tax(run, group.name, adapter, by_hand[0]) for adapter in adapters if by_hand]
    return tuple(found)


def goal_of(cell: Cell) -> float:
    """The least ratio that is aimed at: a step on few examples has less to hide a call behind, and
    with a loader two programs compete for the cores in ways of their own."""
    if cell.loads:
        return GOAL_OF_LOADERS
    batch_size = cell.recipe.batch_size
    return GOAL_OF_LARGE_BATCHES if batch_size >= LARGE_BATCH else GOAL_OF_SMALL_BATCHES


def _tax(run: Observations, group: str, adapter: Cell, by_hand: Cell) -> Tax:
    sample = run.samples[group]
    ratio = _ratio(sample, Contender(adapter.id), Contender(by_hand.id))
    floor = _ratio(sample, Contender(by_hand.id, twin=True), Contender(by_hand.id))
    goal = goal_of(adapter)
    # A loader has an order of its own, and its windows nothing to be compared with.
    blocks = [block for block in run.short_blocks if block.group == group]
    deviation = None if adapter.loads else _first_window_deviation(blocks, adapter.id, by_hand.id)
    differs = ratio is not None and not adapter.loads and not _within(deviation)
    unproven = differs or "lost" in (run.proof(adapter.id), run.proof(by_hand.id))
    outcome: Outcome = "not_measured"
    if unproven:
        outcome = "not_comparable"
    elif ratio is not None:
        outcome = goal_word(ratio, math.log(goal), LEAST_BLOCKS)
    noise = floor.ratio_interval(GOAL_CONFIDENCE) if floor else None
    if noise and not noise.low <= 1 <= noise.high and outcome in ("met", "missed"):
        outcome = "open"
    return Tax(
        group=group,
        framework=adapter.framework,
        batch_size=adapter.recipe.batch_size,
        input=adapter.input,
        loader_workers=adapter.loader_workers,
        adapter=adapter.id,
        handwritten=by_hand.id,
        outcome=outcome,
        goal=goal,
        times_handwritten_rate=ratio.ratio if ratio and not unproven else None,
        interval=ratio.ratio_interval(GOAL_CONFIDENCE) if ratio and not unproven else None,
        noise_floor=noise,
        blocks=ratio.n if ratio else 0,
        first_window_deviation=deviation,
    )


def _ratio(sample: Sample, contender: Contender, against: Contender) -> Estimate | None:
    both = contender in sample.contenders and against in sample.contenders
    return mean_log(log_ratios(sample, contender, against)) if both else None


def _within(deviation: float | None) -> bool:
    return deviation is not None and deviation <= FIRST_WINDOW_TOLERANCE


def _first_window_deviation(blocks: Sequence[Block], adapter: str, by_hand: str) -> float | None:
    """Nothing where no block has both, or where a loss is not finite."""
    deviations = []
    for block in blocks:
        losses = {
            trial.started.cell: trial.windows[0].loss_sum
            for trial in block.trials
            if trial.windows and not trial.started.twin
        }
        if adapter in losses and by_hand in losses:
            deviations.append(relative_deviation_of_loss(losses[adapter], losses[by_hand]))
    finite = [each for each in deviations if each is not None]
    return max(finite) if finite and len(finite) == len(deviations) else None
