"""Rates, and ratios of rates, with intervals over blocks.

The block is the unit: what is measured within one shares its luck, so windows are never pooled.
Within a block the median over rounds is taken of the log ratios of paired windows; over blocks the
mean, with Student's t-interval, exponentiated. A pair counts in each block that has both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.analysis.estimate import LEAST_SD_OF_LOG_RATE, Estimate, Floats, mean_of
from harness.analysis.judgement import Rate
from harness.analysis.trials import Block
from harness.spec.manifest import Group


class Contender(NamedTuple):
    """A cell taking part in a block; the reference takes part twice."""

    cell: str
    twin: bool = False


class Sample(NamedTuple):
    """All windows of a group's short blocks, as arrays of (blocks, contenders, rounds).

    Blocks stand in the order of finishing; a window that is missing is NaN in every array, and so
    is one that no clock can have shown: of no examples or of no seconds.
    """

    group: str
    contenders: tuple[Contender, ...]
    blocks: tuple[int, ...]
    examples: Floats
    wall_seconds: Floats
    cpu_seconds: Floats
    waiting_seconds: Floats
    waiting_cpu_seconds: Floats
    children_cpu_seconds: Floats
    idle_seconds: Floats
    """NaN where the kernel did not show it, too."""

    def column(self, contender: Contender) -> int:
        """Where ``contender`` stands on the second axis."""
        return self.contenders.index(contender)

    def has(self, contender: Contender) -> bool:
        """Whether ``contender`` was measured in any block."""
        return not bool(np.isnan(self.wall_seconds[:, self.column(contender)]).all())


def mean_log(logs: Floats) -> Estimate | None:
    """The mean of log rates, or of log ratios of rates, one a block; NaN is left out.

    Nothing where nothing remains.
    """
    return mean_of(logs, LEAST_SD_OF_LOG_RATE)


def sample_of(group: Group, blocks: Sequence[Block]) -> Sample:
    """The windows of ``group``'s blocks."""
    own = [block for block in blocks if block.group == group.name]
    trials = [trial for block in own for trial in block.trials]
    contenders = [Contender(cell) for cell in group.cells]
    contenders += dict.fromkeys(
        Contender(trial.started.cell, True) for trial in trials if trial.started.twin
    )
    numbers = sorted({window.round for trial in trials for window in trial.windows})
    places = {number: place for place, number in enumerate(numbers)}
    values = np.full((7, len(own), len(contenders), len(numbers)), np.nan)
    for row, block in enumerate(own):
        for trial in block.trials:
            contender = Contender(trial.started.cell, trial.started.twin)
            if contender not in contenders:
                continue
            column = contenders.index(contender)
            for window in trial.windows:
                if window.examples <= 0 or window.wall_seconds <= 0:
                    continue  # no clock shows that: there is no rate
                values[:, row, column, places[window.round]] = (
                    window.examples,
                    window.wall_seconds,
                    window.cpu_seconds,
                    window.waiting_seconds,
                    window.waiting_cpu_seconds,
                    window.children_cpu_seconds,
                    np.nan if window.idle_seconds is None else window.idle_seconds,
                )
    return Sample(group.name, tuple(contenders), tuple(block.block for block in own), *values)


def log_ratios(sample: Sample, contender: Contender, against: Contender) -> Floats:
    """(blocks,): the median over rounds of log(rate of ``contender`` ÷ rate of ``against``).

    NaN in blocks that have no round with both.
    """
    rates = np.log(sample.examples / sample.wall_seconds)
    return _medians(rates[:, sample.column(contender)] - rates[:, sample.column(against)])


def log_rates(sample: Sample, contender: Contender) -> Floats:
    """(blocks,): the log of the median over rounds of examples/s; NaN where there are none."""
    column = sample.column(contender)
    return np.log(_medians(sample.examples[:, column] / sample.wall_seconds[:, column]))


def mean_log_rates(samples: Iterable[Sample]) -> dict[str, Estimate]:
    """Cell id → its mean log rate over blocks; cells that have none are left out."""
    found = {}
    for sample in samples:
        for contender in sample.contenders:
            estimate = mean_log(log_rates(sample, contender))
            if estimate is not None and not contender.twin:
                found[contender.cell] = estimate
    return found


def rate_by_total_time(sample: Sample, contender: Contender, rows: NDArray[np.bool_]) -> float:
    """All examples ÷ all seconds of the windows in ``rows``, a mask of (blocks,)."""
    column = sample.column(contender)
    return _ratio_of_sums(sample.examples[rows, column], sample.wall_seconds[rows, column])


def stall_factor(sample: Sample, contender: Contender, rows: NDArray[np.bool_]) -> float:
    """Typical rate ÷ rate by total time: 1 where no window is far from the median."""
    typical = math.exp(float(np.nanmean(log_rates(sample, contender)[rows])))
    return typical / rate_by_total_time(sample, contender, rows)


def rates(sample: Sample) -> Iterator[Rate]:
    """One record for each contender that has been measured at all."""
    for contender in sample.contenders:
        logs = log_rates(sample, contender)
        found = mean_log(logs)
        if found is None:
            continue
        column = sample.column(contender)
        yield Rate(
            group=sample.group,
            cell=contender.cell,
            twin=contender.twin,
            blocks=found.n,
            examples_per_second=found.ratio,
            interval=found.ratio_interval(0.95),
            examples_per_second_by_block=by_block(logs),
            examples_per_second_by_total_time=rate_by_total_time(
                sample, contender, np.ones(len(sample.blocks), dtype=bool)
            ),
            effective_threads=_ratio_of_sums(
                sample.cpu_seconds[:, column], sample.wall_seconds[:, column]
            ),
            waiting_cpu_share=_ratio_of_sums(
                sample.waiting_cpu_seconds[:, column], sample.waiting_seconds[:, column]
            ),
        )


def by_block(logs: Floats) -> tuple[float, ...]:
    """The exponentiated values, NaN left out."""
    return tuple(np.exp(logs[~np.isnan(logs)]).tolist())


def _medians(values: Floats) -> Floats:
    """(blocks, rounds) in, (blocks,) out; NaN where a block has no value at all."""
    medians = np.full(len(values), np.nan)
    measured = ~np.isnan(values).all(axis=1)
    if measured.any():
        medians[measured] = np.nanmedian(values[measured], axis=1)
    return medians


def _ratio_of_sums(numerators: Floats, denominators: Floats) -> float:
    denominator = float(np.nansum(denominators))
    return float(np.nansum(numerators)) / denominator if denominator else 0.0
