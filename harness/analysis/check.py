"""A run against a stored baseline: is it slower than earlier runs of the same thing were?

*Not interleaved.* Nothing in the baseline ran beside what is judged. The value of a run is the log
of its rate times the control kernel's seconds (see ``controlled``), one value a run. If runs of an
unchanged cell are like draws from one normal distribution, then for n earlier runs of mean m and
standard deviation s the next value x has (x − m) ÷ (s √(1 + 1/n)) distributed as Student's t with
n − 1 degrees of freedom: the prediction interval for one more observation (Hahn and Meeker,
*Statistical Intervals*, 1991, chapter 4). One-sided p of a value no lower than those; Holm (1979)
over the cells. A cell is *slower* where that p is below α and its slowdown against m above the
threshold (2 %).

A machine that drifts from day to day breaks the assumption: then s, taken over days, must hold the
drift, or the check cries wolf. That is why it takes at least 10 earlier runs, and only warns.

Where a slowdown of ``blind_to`` (10 %) would still lie inside the interval, the check could not
have seen it: *too noisy*.

Final test accuracies of the same seeds and epochs are held against earlier ones likewise, as means
over seeds: *lower* where p is below α and the loss above the threshold (0.5 points), *too noisy*
where a loss of ``accuracy_blind_to`` (5 points) would still lie inside the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from harness.analysis.baselines import RunCell
from harness.analysis.estimate import (
    LEAST_SD_OF_ACCURACY,
    LEAST_SD_OF_LOG_RATE,
    Estimate,
    Interval,
    mean_of,
    one_more,
)
from harness.analysis.outcomes import Accuracy, Proof, Speed
from harness.analysis.rules import Limits, Worsening, unusual
from harness.analysis.slowdown import accuracy_limits, beyond_noise, slowdown_limits
from harness.spec.baselines import BaselineCell, BaselineValue
from harness.spec.gates import GateTerms, Thresholds

LEAST_RUNS = 10


class CheckedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a run against earlier runs of it."""

    series: str
    """The cell without version and variant."""
    cell: str
    speed: Speed
    accuracy: Accuracy = "not_judged"
    parity: Proof
    thresholds: Thresholds
    detail: str = ""
    """Why it was not compared, failed, or is too noisy."""
    earlier_runs: int = 0
    examples_per_second: float | None = None
    """As measured."""
    expected_examples_per_second: float | None = None
    """The geometric mean of earlier runs, at the speed that the machine had in this run."""
    slowdown: float | None = None
    """Time of a step, in terms of the control kernel's, ÷ the mean of earlier runs, minus 1: below
    0 it became faster."""
    usual_from: float | None = None
    usual_to: float | None = None
    """Prediction interval of ``slowdown`` for a run of an unchanged cell: each side is left by a
    share α of such runs. Not adjusted for the number of cells."""
    p_adjusted: float | None = None
    """One-sided, by Holm's method over the cells."""
    accuracy_loss: float | None = None
    """Mean final test accuracy over earlier runs and seeds − that of this run, a fraction."""
    accuracy_runs: int = 0
    """Earlier runs with the same seeds and epochs."""


class CheckJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a check says."""

    run: str
    baseline: str
    """Path of the file."""
    label: Literal["not interleaved"] = "not interleaved"
    strict: bool
    """Whether a regression ends with exit code 1; else it is a warning."""
    cells: tuple[CheckedCell, ...]
    exit_code: int
    """0 no regression, or one that is a warning; 1 one, where ``strict``; 2 a cell failed; 3 parity
    lost; 4 too noisy."""


def check(
    cells: Sequence[RunCell],
    baseline: dict[str, BaselineCell],
    terms: GateTerms,
    *,
    floors: Sequence[Interval] = (),
) -> tuple[CheckedCell, ...]:
    """Every cell of a run, against the earlier runs that ``baseline`` has of it.

    The conditions are the same: that has been seen to. A run that was saved itself is left out of
    its own past.

    Args:
        cells: all of the run.
        baseline: series → what is stored of it.
        terms: with each cell's thresholds.
        floors: as ``failed_noise_floors`` of the run.
    """
    found = [_described(each, baseline.get(each.cell.series), terms) for each in cells]
    values = {each.cell.series: each.kept.values[0] for each in cells if each.kept}
    speeds: dict[str, Estimate] = {}
    losses: dict[str, Estimate] = {}
    limits = {cell.series: cell.thresholds for cell in found if cell.speed == "held"}
    for series in limits:
        value, earlier = values[series], _earlier(values[series], baseline[series])
        speeds[series] = below_usual(
            _normalised(value), list(map(_normalised, earlier)), LEAST_SD_OF_LOG_RATE
        )
        same = [other for other in earlier if _trained(other) == _trained(value)]
        if value.accuracies and len(same) >= LEAST_RUNS:
            losses[series] = below_usual(
                _accuracy(value), list(map(_accuracy, same)), LEAST_SD_OF_ACCURACY
            )
    by_speed = _held_against(
        speeds,
        [slowdown_limits(limits[each]) for each in speeds],
        terms.alpha,
    )
    by_accuracy = _held_against(
        losses,
        [accuracy_limits(limits[each]) for each in losses],
        terms.alpha,
    )
    return tuple(
        _with_accuracy(
            _with_speed(
                cell, values.get(cell.series), by_speed.get(cell.series), terms.alpha, floors
            ),
            by_accuracy.get(cell.series),
        )
        for cell in found
    )


def below_usual(value: float, earlier: Sequence[float], least_sd: float) -> Estimate:
    """How far ``value`` lies below the mean of two or more ``earlier`` ones, with the error that
    one more value has; their SD counts as ``least_sd`` or more."""
    known = mean_of(np.array(earlier), least_sd)
    assert known is not None, "there are earlier values"
    usual = one_more(known)
    return usual._replace(mean=usual.mean - value)


def _held_against(
    found: Mapping[str, Estimate], limits: Sequence[Limits], alpha: float
) -> dict[str, Worsening]:
    return dict(zip(found, unusual(list(found.values()), limits, alpha), strict=True))


def _described(each: RunCell, known: BaselineCell | None, terms: GateTerms) -> CheckedCell:
    """Everything but the numbers; ``held`` stands for what is still to be judged."""
    earlier = _earlier(each.kept.values[0], known) if each.kept and known else []
    speed: Speed = "held"
    detail = ""
    if each.kept is None:
        # What parity or the device forbids is said by its own column; what broke has failed.
        speed = "not_compared" if each.parity == "lost" else "failed"
        detail = each.lack
    elif known is None:
        speed, detail = "not_compared", "nothing to compare it with"
    elif len(earlier) < LEAST_RUNS:
        speed = "not_compared"
        detail = f"{len(earlier)} earlier runs, expected {LEAST_RUNS} or more"
    return CheckedCell(
        series=each.cell.series,
        cell=each.cell.id,
        speed=speed,
        parity=each.parity,
        thresholds=terms.of(each.cell),
        detail=detail,
        earlier_runs=len(earlier),
    )


def _with_speed(
    cell: CheckedCell,
    value: BaselineValue | None,
    outcome: Worsening | None,
    alpha: float,
    floors: Sequence[Interval],
) -> CheckedCell:
    """``cell`` with what ``outcome`` says of its speed; ``floors``: as in ``check``."""
    if outcome is None or value is None:
        return cell
    below, usual = outcome.estimate.mean, outcome.estimate.half(1 - alpha)
    speed: Speed = "slower" if outcome.word == "worse" else outcome.word
    detail = ""
    if speed == "too_noisy":
        detail = f"a slowdown of {cell.thresholds.blind_to:.0%} would be within the usual range"
    if floors and not (speed == "slower" and beyond_noise(outcome.at_least, floors)):
        speed, detail = "too_noisy", "a reference of the run differed from its own second copy"
    return msgspec.structs.replace(
        cell,
        speed=speed,
        detail=detail,
        examples_per_second=value.examples_per_second,
        expected_examples_per_second=value.examples_per_second * math.exp(below),
        slowdown=math.expm1(below),
        usual_from=math.expm1(-usual),
        usual_to=math.expm1(usual),
        p_adjusted=outcome.p_adjusted,
    )


def _with_accuracy(cell: CheckedCell, outcome: Worsening | None) -> CheckedCell:
    if outcome is None:
        return cell
    return msgspec.structs.replace(
        cell,
        accuracy="lower" if outcome.word == "worse" else outcome.word,
        accuracy_loss=outcome.estimate.mean,
        accuracy_runs=outcome.estimate.n,
    )


def _earlier(value: BaselineValue, known: BaselineCell) -> list[BaselineValue]:
    return [each for each in known.values if each.run != value.run]


def _normalised(value: BaselineValue) -> float:
    return math.log(value.examples_per_second * value.control_seconds)


def _trained(value: BaselineValue) -> list[tuple[int, int]]:
    return [(each.seed, each.epoch) for each in value.accuracies]


def _accuracy(value: BaselineValue) -> float:
    """Mean over seeds; rounded, so that means of the same hits are the same number."""
    return round(float(np.mean([each.test_accuracy for each in value.accuracies])), 12)
