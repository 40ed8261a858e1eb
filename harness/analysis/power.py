"""How often the gate cries wolf, and how often it catches a slowdown: by simulation.

The noise is real: log ratios of paired windows of a contender and its own second copy, recorded
block by block. A made-up gate draws blocks with replacement, and of each its rounds with
replacement, so that both levels of noise are there and what belongs together within a block stays
together; a slowdown is added on the log scale; the gate's own code decides, look by look.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np

from harness.analysis.estimate import Floats
from harness.analysis.observations import Observations
from harness.analysis.samples import mean_log
from harness.analysis.slowdown import planned_looks, slowdowns
from harness.spec.gates import Thresholds

DRAWN_FOR_SCALE = 200_000
CONFIDENCE = 0.95
"""Of the intervals whose coverage is counted."""


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """A/A blocks of one machine."""

    cpu: str
    cores: int
    runs: int
    blocks: tuple[tuple[float, ...], ...]
    """For each block, by round: log(rate of the second copy ÷ rate of the first)."""

    def medians(self) -> Floats:
        """(blocks,): what the estimator makes of each block, mirrored, so that their mean is 0."""
        values = np.array([np.median(block) for block in self.blocks])
        return np.concatenate([values, -values])

    @property
    def sd(self) -> float:
        """Of the blocks' log ratios."""
        return float(np.sqrt(np.mean(np.square(self.medians()))))

    def drawn(self, random: np.random.RandomState, shape: tuple[int, ...]) -> Floats:
        """Medians of blocks, with replacement at both levels: blocks, then rounds within each.

        Each has a random sign: which of two copies is the base is arbitrary. Drawing rounds anew
        adds to what they have added already, so values are scaled back: their SD is ``sd``.
        """
        lengths = np.array([len(block) for block in self.blocks])
        values = np.full((len(lengths), int(lengths.max())), np.nan)
        for row, block in zip(values, self.blocks, strict=True):
            row[: len(block)] = block
        rounds = int(np.median(lengths))

        def medians(source: np.random.RandomState, size: tuple[int, ...]) -> Floats:
            chosen = source.randint(len(lengths), size=size)
            places = source.random_sample((*size, rounds)) * lengths[chosen][..., np.newaxis]
            found = np.median(values[chosen[..., np.newaxis], places.astype(int)], axis=-1)
            signed: Floats = found * source.choice([-1.0, 1.0], size=size)
            return signed

        of_many = medians(np.random.RandomState(0), (DRAWN_FOR_SCALE,))
        scaled: Floats = medians(random, shape) * (self.sd / float(of_many.std()))
        return scaled


class Power(NamedTuple):
    """What a number of made-up gates did."""

    gates: int
    flagged: float
    """Share of gates in which the cell in question was called slower."""
    flagged_elsewhere: float
    """Share of the unchanged cells that were called slower; 0 where there are none."""
    blind: float
    """Share of gates in which it was called too noisy."""
    blocks: float
    """Mean number, over gates and cells, until a cell was decided."""


def recorded_noise(runs: Iterable[Observations]) -> Noise:
    """The A/A blocks of ``runs``, all of one machine.

    Raises:
        ValueError: there are none, or the machines differ.
    """
    runs = list(runs)
    machines = {(run.manifest.machine.cpu, run.manifest.machine.cores) for run in runs}
    if len(machines) != 1:
        raise ValueError(f"the runs are of {len(machines)} machines")
    blocks: list[tuple[float, ...]] = []
    for run in runs:
        for sample in run.samples.values():
            rates = np.log(sample.examples / sample.wall_seconds)
            for twin in (each for each in sample.contenders if each.twin):
                first = sample.column(twin._replace(twin=False))
                ratios = rates[:, sample.column(twin)] - rates[:, first]
                blocks += [tuple(row[~np.isnan(row)].tolist()) for row in ratios]
    blocks = [tuple(round(value, 6) for value in block) for block in blocks if block]
    if not blocks:
        raise ValueError("no run has a block with the reference and its second copy")
    [(cpu, cores)] = machines
    return Noise(cpu=cpu, cores=cores, runs=len(runs), blocks=tuple(blocks))


def simulated(
    noise: Noise,
    sd: float,
    *,
    slowdown: float,
    cells: int,
    gates: int,
    seed: int,
    alpha: float = 0.01,
) -> Power:
    """``gates`` made-up gates of ``cells`` cells, the first of them slower by ``slowdown``.

    With the looks that are planned for so many cells; ``noise`` is scaled to a block SD of ``sd``.
    """
    random = np.random.RandomState(seed)
    thresholds = [Thresholds()] * cells
    looks = planned_looks(cells)
    draws = noise.drawn(random, (gates, cells, max(looks))) * (sd / noise.sd)
    draws[:, 0] += math.log1p(slowdown)
    flagged = blind = elsewhere = blocks = 0
    for gate in draws:
        found = [each for each in slowdowns(list(gate), thresholds, alpha, looks) if each]
        words = [each.word for each in found]
        flagged += words[0] == "worse"
        blind += words[0] == "too_noisy"
        elsewhere += words[1:].count("worse")
        blocks += sum(each.timed.estimate.n for each in found)
    others = gates * (cells - 1)
    return Power(
        gates,
        flagged / gates,
        elsewhere / others if others else 0.0,
        blind / gates,
        blocks / gates / cells,
    )


def coverage(noise: Noise, *, blocks: int, intervals: int, seed: int) -> float:
    """Share of 95 % t-intervals over ``blocks`` blocks that hold the truth."""
    held = 0
    for row in noise.drawn(np.random.RandomState(seed), (intervals, blocks)):
        estimate = mean_log(row)
        interval = estimate and estimate.interval(CONFIDENCE)
        held += interval is not None and interval.low <= 0 <= interval.high
    return held / intervals
