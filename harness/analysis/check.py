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
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from harness.analysis.baselines import RunCell
from harness.analysis.judgement import Interval
from harness.analysis.outcomes import Accuracy, Parity, Speed
from harness.analysis.protocol import holm
from harness.analysis.slowdown import beyond_noise
from harness.analysis.spread import LEAST_SD_OF_ACCURACY, LEAST_SD_OF_LOG_RATE, spread
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
    parity: Parity
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


class Prediction(NamedTuple):
    """One value, held against earlier ones."""

    below: float
    """How far it lies below their mean."""
    error: float
    """s √(1 + 1/n): the scale of the prediction."""
    freedom: int

    @property
    def p(self) -> float:
        """One-sided, of a value as low as this or lower."""
        return float(special.stdtr(self.freedom, -self.below / self.error))

    def reach(self, alpha: float) -> float:
        """How far below the mean a share ``alpha`` of unchanged runs lie at least."""
        return float(special.stdtrit(self.freedom, 1 - alpha)) * self.error


def prediction(value: float, earlier: Sequence[float], least_sd: float) -> Prediction:
    """``value`` against two or more ``earlier`` ones, whose SD counts as ``least_sd`` or more."""
    known = np.array(earlier)
    # Equal values are equal: their mean may differ from them in the last digit.
    centre = earlier[0] if np.ptp(known) == 0 else float(known.mean())
    error = spread(known, least_sd) * math.sqrt(1 + 1 / len(known))
    return Prediction(centre - value, error, len(known) - 1)


def check(
    cells: Sequence[RunCell],
    baseline: dict[str, BaselineCell],
    terms: GateTerms,
    *,
    floors: Sequence[Interval] = (),
) -> tuple[CheckedCell, ...]:
    """Every cell of a run, against the earlier runs that ``baseline`` (by series) has of it.

    The conditions are the same: that has been seen to. A run that was saved itself is left out of
    its own past. ``floors``: as ``failed_noise_floors`` of the run.
    """
    found = [_described(each, baseline.get(each.cell.series), terms) for each in cells]
    values = {each.cell.series: each.kept.values[0] for each in cells if each.kept}
    judged = [each for each in found if each.speed == "held"]
    speeds = {}
    accuracies = {}
    for each in judged:
        value, earlier = values[each.series], _earlier(values[each.series], baseline[each.series])
        speeds[each.series] = prediction(
            _normalised(value), list(map(_normalised, earlier)), LEAST_SD_OF_LOG_RATE
        )
        same = [other for other in earlier if _trained(other) == _trained(value)]
        if value.accuracies and len(same) >= LEAST_RUNS:
            accuracies[each.series] = prediction(
                _accuracy(value), list(map(_accuracy, same)), LEAST_SD_OF_ACCURACY
            )
    by_speed = dict(zip(speeds, holm([each.p for each in speeds.values()]), strict=True))
    by_accuracy = dict(zip(accuracies, holm([each.p for each in accuracies.values()]), strict=True))
    answered = []
    for each in found:
        if each.series in speeds:
            each = _with_speed(
                each, values[each.series], speeds[each.series], by_speed[each.series], terms.alpha,
                len(speeds),
            )  # fmt: skip
            # By the lower bound of how far it lies below what is usual.
            of = speeds[each.series]
            at_least = of.below - of.reach(terms.alpha / len(speeds))
            believed = each.speed == "slower" and beyond_noise(at_least, floors)
            if floors and not believed:
                why = "a reference of the run differed from its own second copy"
                each = msgspec.structs.replace(each, speed="too_noisy", detail=why)
        if each.series in accuracies:
            each = _with_accuracy(
                each, accuracies[each.series], by_accuracy[each.series], terms.alpha,
                len(accuracies),
            )  # fmt: skip
        answered.append(each)
    return tuple(answered)


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
    of: CheckedCell, value: BaselineValue, found: Prediction, p: float, alpha: float, family: int
) -> CheckedCell:
    slowdown = math.expm1(found.below)
    blind = math.expm1(found.reach(alpha / family)) > of.thresholds.blind_to
    speed: Speed = "held"
    detail = ""
    if p < alpha and slowdown > of.thresholds.slowdown:
        speed = "slower"
    elif blind:
        speed = "too_noisy"
        detail = f"a slowdown of {of.thresholds.blind_to:.0%} would be within the usual range"
    return msgspec.structs.replace(
        of,
        speed=speed,
        detail=detail,
        examples_per_second=value.examples_per_second,
        expected_examples_per_second=value.examples_per_second * math.exp(found.below),
        slowdown=slowdown,
        usual_from=math.expm1(-found.reach(alpha)),
        usual_to=math.expm1(found.reach(alpha)),
        p_adjusted=p,
    )


def _with_accuracy(
    of: CheckedCell, found: Prediction, p: float, alpha: float, family: int
) -> CheckedCell:
    accuracy: Accuracy = "held"
    if p < alpha and found.below > of.thresholds.accuracy:
        accuracy = "lower"
    elif found.reach(alpha / family) > of.thresholds.accuracy_blind_to:
        accuracy = "too_noisy"
    return msgspec.structs.replace(
        of, accuracy=accuracy, accuracy_loss=found.below, accuracy_runs=found.freedom + 1
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
