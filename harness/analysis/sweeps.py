"""Sweeps: the same contenders at several batch sizes and numbers of threads, put side by side.

Each combination is a group of its own, whose verdicts are made there; nothing is judged anew here.
Blocks of the groups take turns, but two groups share no block: the interval of a ratio between them
is Welch's (1947), over blocks, of the difference of log rates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Literal

import msgspec

from harness.analysis.estimate import Estimate, Interval, difference
from harness.analysis.judgement import Judgement, Rate, Verdict, Word, mirrored
from harness.analysis.observations import Observations, once
from harness.analysis.samples import mean_log_rates
from harness.analysis.verdicts import judge
from harness.spec.cells import Cell
from harness.spec.recipes import Recipe

CONFIDENCE = 0.95
NOT_OF_THE_FAMILY = ("batch_size", "epochs")
"""Overrides that recipes of one sweep may differ in: the batch, and the epochs that follow from it
where another dataset is trained for as many steps."""

Order = Literal["changes", "keeps", "open"]


class SweepPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One contender at one batch size, with one number of threads."""

    group: str
    cell: str
    batch_size: int
    threads: int
    blocks: int
    examples_per_second: float
    """Geometric mean over blocks of the median over the block's windows."""
    interval: Interval | None
    """Of ``examples_per_second``, 95 %; nothing below 2 blocks."""
    efficiency: float | None
    """Rate ÷ what it would be if it grew as threads do from the fewest of the sweep: 1 there, and
    less where threads wait for each other. Nothing where the fewest were not measured, or where
    there is one number of threads."""
    efficiency_interval: Interval | None
    """Of ``efficiency``, 95 % (Welch); nothing below 2 blocks of either, and at the fewest
    threads."""


class SweepLine(msgspec.Struct, frozen=True, kw_only=True):
    """One contender over all combinations: cells that may be compared and were measured."""

    contender: str
    """What sets it apart in its groups: ``NAME-1.2.3/compiled``."""
    points: tuple[SweepPoint, ...]


class PairAt(msgspec.Struct, frozen=True, kw_only=True):
    """What a pair's group says of it, at one combination."""

    batch_size: int
    threads: int
    verdict: Word | None
    """Of ``SweepPair.contender``; nothing where there is none."""
    times_faster: float | None


class SweepPair(msgspec.Struct, frozen=True, kw_only=True):
    """Two contenders over all combinations."""

    contender: str
    against: str
    at: tuple[PairAt, ...]
    order: Order
    """``changes``: one is faster here, and the other there, both by verdict. ``keeps``: the same
    one is faster at every combination. ``open``: neither is shown."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """One recipe over batch sizes, threads, or both, with one input on one device."""

    recipe: str
    """Its name with the overrides that all of them have."""
    input: str
    """With a loader's workers: ``loader-2w``."""
    device: str
    batch_sizes: tuple[int, ...]
    """From the smallest to the largest."""
    threads: tuple[int, ...]
    """From the fewest to the most."""
    lines: tuple[SweepLine, ...]
    pairs: tuple[SweepPair, ...]


@once
def sweeps(run: Observations) -> tuple[Sweep, ...]:
    """One for each recipe, input and device that was measured with more than one batch size or
    number of threads, in the order of the plan."""
    judgement = judge(run)
    families: defaultdict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cell in run.manifest.cells:
        if cell.threads > 0:  # with none nothing was measured, whatever a record says
            families[_family(cell.recipe), cell.source, cell.device].append(cell)
    means = mean_log_rates(run.samples.values())
    found = []
    for (recipe, source, device), cells in families.items():
        batch_sizes = tuple(sorted({cell.recipe.batch_size for cell in cells}))
        threads = tuple(sorted({cell.threads for cell in cells}))
        lines = tuple(_lines(cells, judgement, means))
        if len(batch_sizes) * len(threads) > 1 and lines:
            found.append(
                Sweep(
                    recipe=recipe,
                    input=source,
                    device=device,
                    batch_sizes=batch_sizes,
                    threads=threads,
                    lines=lines,
                    pairs=tuple(_pairs(cells, judgement.verdicts)),
                )
            )
    return tuple(found)


def order_of(words: Iterable[Word | None]) -> Order:
    """What the verdicts on one contender against another say of their order together."""
    said = set(words)
    if {"faster", "slower"} <= said:
        return "changes"
    return "keeps" if said in ({"faster"}, {"slower"}) else "open"


def _family(recipe: Recipe) -> str:
    kept = [each for each in recipe.overrides if each.partition("=")[0] not in NOT_OF_THE_FAMILY]
    return "+".join((recipe.name, *kept))


def _lines(
    cells: Sequence[Cell], judgement: Judgement, means: Mapping[str, Estimate]
) -> Iterator[SweepLine]:
    barred = {each.cell for group in judgement.groups for each in group.left_out}
    rates = {rate.cell: rate for rate in judgement.rates if not rate.twin}
    shown = [cell for cell in cells if cell.id in rates and cell.id not in barred]
    fewest = min(cell.threads for cell in cells)
    several = len({cell.threads for cell in cells}) > 1
    by_place = {_place(cell): cell for cell in shown}
    for contender in dict.fromkeys(cell.contender for cell in shown):
        own = [cell for cell in shown if cell.contender == contender]
        yield SweepLine(
            contender=contender,
            points=tuple(
                _point(
                    cell,
                    rates[cell.id],
                    means,
                    by_place.get((contender, cell.recipe.batch_size, fewest)) if several else None,
                )
                for cell in sorted(own, key=lambda cell: (cell.recipe.batch_size, cell.threads))
            ),
        )


def _place(cell: Cell) -> tuple[str, int, int]:
    return cell.contender, cell.recipe.batch_size, cell.threads


def _point(cell: Cell, rate: Rate, means: Mapping[str, Estimate], base: Cell | None) -> SweepPoint:
    efficiency = interval = None
    if base is not None:
        share = base.threads / cell.threads
        efficiency = means[cell.id].ratio / means[base.id].ratio * share
        welch = None if base is cell else difference(means[cell.id], means[base.id])
        known = welch and welch.ratio_interval(CONFIDENCE)
        interval = known and msgspec.structs.replace(
            known, low=known.low * share, high=known.high * share
        )
    return SweepPoint(
        group=rate.group,
        cell=cell.id,
        batch_size=cell.recipe.batch_size,
        threads=cell.threads,
        blocks=rate.blocks,
        examples_per_second=rate.examples_per_second,
        interval=rate.interval,
        efficiency=efficiency,
        efficiency_interval=interval,
    )


def _pairs(cells: Sequence[Cell], verdicts: Sequence[Verdict]) -> Iterator[SweepPair]:
    by_id = {cell.id: cell for cell in cells}
    said: defaultdict[tuple[str, str], dict[tuple[int, int], PairAt]] = defaultdict(dict)
    for one in verdicts:
        # Who stands first in a group is the reference there: either way round is asked for below.
        for verdict in (one, mirrored(one)):
            cell, against = by_id.get(verdict.cell), by_id.get(verdict.against)
            if cell is not None and against is not None:
                said[cell.contender, against.contender][cell.recipe.batch_size, cell.threads] = (
                    PairAt(
                        batch_size=cell.recipe.batch_size,
                        threads=cell.threads,
                        verdict=verdict.verdict,
                        times_faster=verdict.times_faster,
                    )
                )
    for first, second in combinations(dict.fromkeys(cell.contender for cell in cells), 2):
        if places := said.get((second, first)):
            at = tuple(places[place] for place in sorted(places))
            yield SweepPair(
                contender=second,
                against=first,
                at=at,
                order=order_of(each.verdict for each in at),
            )
