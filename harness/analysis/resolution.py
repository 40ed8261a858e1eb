"""What size of difference a machine can show in a given time, from a short A/A on it.

*Spread of a block.* A block's value is the median over rounds of the log ratio of paired windows
(``samples``), and the SD of such values decides what a run can show. A minute holds few blocks,
whose SD alone would often look too small by luck; but the rounds within them are many. The median
of n values that scatter normally with σ has an SD of about √(π ÷ 2) · σ ÷ √n (Laplace, 1818), which
a block's SD can't be below. So the larger of the two is taken.

*Least difference.* A verdict at n blocks asks for |mean| > t(n−1, 1 − α ÷ 2) · SD ÷ √n, as in
``rules.TwoSided``. A true difference of just that size is found half the time; of
(t(n−1, 1 − α ÷ 2) + t(n−1, p)) · SD ÷ √n in a share p, the textbooks' formula for sample sizes
with t for the normal quantile in both places (Snedecor and Cochran, *Statistical Methods*, on
sample size in comparative experiments). Two equal programs are found equivalent in a share p where
(t(n−1, 1 − α) + t(n−1, (1 + p) ÷ 2)) · SD ÷ √n is at most log 1.03, by the same reasoning. The α
are the protocol's, for one look, as ``--budget`` plans it, and for one pair: Holm asks for more
where there are more.

It is assumed that later blocks scatter as these do, and that block values scatter normally. On a
machine whose unrest comes and goes, neither holds for long.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import msgspec
import numpy as np
from scipy import special

from harness.analysis.estimate import Floats, Interval
from harness.analysis.protocol import (
    DIFFERENCE_ALPHA,
    EQUIVALENCE_ALPHA,
    EQUIVALENT_WITHIN,
    LEAST_BLOCKS,
)
from harness.analysis.samples import mean_log
from harness.spec.events import AnyEvent, BlockFinished, TrialStarted, Window

MINUTES = (5, 15, 60)
CHANCE = 0.8
"""Of finding a difference of the size that is named."""
CONTENDERS = 3
"""Alive in a block of the comparison that is thought of: two, and the reference's second copy."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """What a program showed against itself."""

    blocks: int
    rounds: int
    """In all blocks together."""
    times_faster: float
    """Rate of the second copy ÷ rate of the first: 1, but for noise."""
    interval: Interval | None
    """95 %; nothing below 2 blocks."""
    sd_of_blocks: float | None
    """Of the blocks' log ratios; nothing below 2 blocks."""
    sd_from_rounds: float | None
    """What a block's would be at least, from the rounds within blocks; nothing where each block
    has one."""
    sd: float | None
    """The larger of the two; nothing where neither is known."""


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What can be shown in so much time."""

    minutes: int
    blocks: int
    """That fit into it."""
    least_difference: float | None
    """Share of the rate that is found in four of five runs; nothing below 5 blocks, of which no
    verdict is made."""
    shows_equivalence: bool
    """Whether two equal programs are found equivalent within ±3 % in four of five runs."""


def paired_logs(events: Iterable[AnyEvent]) -> list[Floats]:
    """For each finished block (rounds,): log of the second copy's rate ÷ the first's, by round."""
    events = list(events)
    started = {event.trial: event for event in events if isinstance(event, TrialStarted)}
    finished = {event.block for event in events if isinstance(event, BlockFinished)}
    rates: defaultdict[tuple[int, int], dict[bool, float]] = defaultdict(dict)
    for event in events:
        if isinstance(event, Window) and event.wall_seconds > 0:
            trial = started[event.trial]
            rates[trial.block, event.round][trial.twin] = event.examples / event.wall_seconds
    logs: defaultdict[int, list[float]] = defaultdict(list)
    for (block, _), pair in sorted(rates.items()):
        if block in finished and len(pair) == 2:
            logs[block].append(math.log(pair[True] / pair[False]))
    return [np.array(values) for values in logs.values()]


def spread_of(blocks: Iterable[Floats]) -> Spread | None:
    """Ratio and SDs of an A/A, from the log ratios of each block's rounds; nothing without any."""
    blocks = [block for block in blocks if block.size]
    found = mean_log(np.array([np.median(block) for block in blocks]))
    if found is None:
        return None
    sd_of_blocks = None if math.isnan(found.sd) else found.sd
    sd_from_rounds = _sd_from_rounds(blocks)
    return Spread(
        blocks=found.n,
        rounds=sum(block.size for block in blocks),
        times_faster=found.ratio,
        interval=found.ratio_interval(0.95),
        sd_of_blocks=sd_of_blocks,
        sd_from_rounds=sd_from_rounds,
        sd=max((each for each in (sd_of_blocks, sd_from_rounds) if each), default=None),
    )


def resolutions(sd: float, block_seconds: float) -> tuple[Resolution, ...]:
    """What can be shown in 5, 15 and 60 minutes of blocks that scatter and last like that.

    ``block_seconds``: of a block of ``CONTENDERS``, their start included.
    """
    return tuple(
        Resolution(
            minutes=minutes,
            blocks=blocks,
            least_difference=least_difference(sd, blocks),
            shows_equivalence=shows_equivalence(sd, blocks),
        )
        for minutes in MINUTES
        for blocks in [int(minutes * 60 / block_seconds)]
    )


def least_difference(sd: float, blocks: int) -> float | None:
    """The share by which rates have to differ to be found in ``CHANCE`` of the runs of ``blocks``.

    ``sd``: of a block's log ratio. Nothing below 5 blocks.
    """
    if blocks < LEAST_BLOCKS:
        return None
    quantiles = special.stdtrit(blocks - 1, [1 - DIFFERENCE_ALPHA / 2, CHANCE])
    return math.expm1(float(quantiles.sum()) * sd / math.sqrt(blocks))


def shows_equivalence(sd: float, blocks: int) -> bool:
    """Whether ``CHANCE`` of the runs of ``blocks`` find two equal programs equivalent.

    ``sd``: of a block's log ratio. Never below 5 blocks.
    """
    if blocks < LEAST_BLOCKS:
        return False
    quantiles = special.stdtrit(blocks - 1, [1 - EQUIVALENCE_ALPHA, (1 + CHANCE) / 2])
    return float(quantiles.sum()) * sd / math.sqrt(blocks) <= math.log(EQUIVALENT_WITHIN)


def _sd_from_rounds(blocks: list[Floats]) -> float | None:
    """√(π ÷ 2) · σ ÷ √n, with σ pooled over blocks and n their mean number of rounds."""
    freedom = sum(block.size - 1 for block in blocks)
    if not freedom:
        return None
    squares = sum(float(((block - block.mean()) ** 2).sum()) for block in blocks)
    rounds = float(np.mean([block.size for block in blocks]))
    return math.sqrt(math.pi / 2 * squares / freedom / rounds)
