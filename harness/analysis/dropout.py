"""Whether a cell's dropout has the oracle's distribution.

Masks can't be matched, but their distribution can: both sides take the loss of one batch under many
masks, with weights that stay as they are. The batch is one image several times: its copies' losses
differ by their masks alone, so that a mask that all of them share multiplies the variance of their
mean by their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.spec.proof_events import DropoutCheck

ERROR_RATE = 1e-4
"""Of all tests of one check together, where the cell's dropout is as the oracle's."""
LEVELS = {"spread": ERROR_RATE / 2, "mean": ERROR_RATE / 4, "shape": ERROR_RATE / 4}
DOUBT = 0.05
"""The second half of a cell's losses is taken where a test of the first half gives less. So the
error rate stays what it is, and one honest cell in ten or so pays for both halves."""
LEAST_DISTINCT = 0.5
"""Share of a cell's losses that differ from all others: of honest ones nearly all do, up to the few
that float32 rounds to the same value."""
INFERENCE_TOLERANCE = 1e-6
"""Of a loss in inference mode: a few roundings of float32…"""
INFERENCE_SPREADS = 0.01
"""… or this share of the standard deviation that masks give a loss, if that is more."""

Floats = NDArray[np.float64]


class DropoutResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a cell's dropout is the oracle's, as far as losses show it."""

    cell: str
    passed: bool
    failures: tuple[str, ...]
    """One clause for each check that failed: what was seen, and what was expected."""
    variance_ratio: float | None
    """The cell's variance of losses over masks ÷ the oracle's; nothing where that is no number."""
    shift: float | None
    """The cell's mean loss minus the oracle's, in standard deviations of the oracle's losses."""
    p_values: dict[str, float]
    """Of ``spread``, ``mean`` and ``shape``; each is held against its share of the error rate."""


def dropout_verdict(check: DropoutCheck) -> DropoutResult:
    """Whether the two sets of losses can be of one distribution, and inference drops nothing."""
    losses, expected = _finite(check.losses), _finite(check.oracle_losses)
    if losses is None or expected is None or losses.size < 2 or not expected.var():
        return DropoutResult(
            cell=check.cell,
            passed=False,
            failures=("losses under dropout masks: not all are finite numbers, or none varies",),
            variance_ratio=None,
            shift=None,
            p_values={},
        )
    ratio = float(losses.var(ddof=1) / expected.var(ddof=1))
    shift = float((losses.mean() - expected.mean()) / expected.std(ddof=1))
    p_values = {
        "spread": spread_p_value(losses, expected),
        "mean": mean_p_value(losses, expected),
        "shape": float(stats.ks_2samp(losses, expected, method="asymp").pvalue),
    }
    failures = (
        *_repetition(losses),
        *_differences(ratio, shift, p_values),
        *_inference(check, float(expected.std(ddof=1))),
    )
    return DropoutResult(
        cell=check.cell,
        passed=not failures,
        failures=failures,
        variance_ratio=ratio,
        shift=shift,
        p_values=p_values,
    )


def settled(check: DropoutCheck) -> bool:
    """Whether these losses leave no doubt that the cell's dropout is the oracle's."""
    result = dropout_verdict(check)
    return result.passed and min(result.p_values.values()) >= DOUBT


def spread_p_value(losses: Floats, expected: Floats) -> float:
    """Of an F-test, two-sided, that both have one variance.

    Degrees of freedom are shortened by 2 ÷ (κ − 1) where the oracle's losses have a kurtosis κ
    above the normal distribution's 3, which makes the variance of a variance larger by as much
    (Box, Non-normality and tests on variances, 1953).
    """
    shortened = 2 / (max(3.0, float(stats.kurtosis(expected, fisher=False))) - 1)
    f = losses.var(ddof=1) / expected.var(ddof=1)
    of = ((losses.size - 1) * shortened, (expected.size - 1) * shortened)
    return float(min(1.0, 2 * min(stats.f.cdf(f, *of), stats.f.sf(f, *of))))


def mean_p_value(losses: Floats, expected: Floats) -> float:
    """Of Welch's t-test, two-sided, that both have one mean."""
    shares = [each.var(ddof=1) / each.size for each in (losses, expected)]
    freedom = sum(shares) ** 2 / sum(
        share**2 / (each.size - 1) for share, each in zip(shares, (losses, expected), strict=True)
    )
    t = abs(losses.mean() - expected.mean()) / np.sqrt(sum(shares))
    return float(2 * stats.t.sf(t, freedom))


def _repetition(losses: Floats) -> Iterator[str]:
    distinct = len(np.unique(losses))
    if distinct < LEAST_DISTINCT * losses.size:
        yield (
            f"dropout masks: {losses.size} training steps gave {distinct} different "
            f"{'loss' if distinct == 1 else 'losses'}, expected about {losses.size}: the same "
            "masks come again, or there are none"
        )


def _differences(ratio: float, shift: float, p_values: dict[str, float]) -> Iterator[str]:
    seen = {
        "spread": f"their variance is {ratio:.3g} times the oracle's, expected 1",
        "mean": f"their mean is off by {shift:+.3g} of the oracle's standard deviations, "
        "expected 0",
        "shape": "they are distributed otherwise than the oracle's",
    }
    for name, level in LEVELS.items():
        if not p_values[name] >= level:
            yield (
                f"losses under dropout masks: {seen[name]} (p = {p_values[name]:.1e}, "
                f"refused below {level:.1e})"
            )


def _inference(check: DropoutCheck, spread: float) -> Iterator[str]:
    expected = check.oracle_inference_loss
    if expected is None or not check.inference_losses or None in check.inference_losses:
        yield "loss in inference mode: not a finite number"
        return
    tolerance = max(INFERENCE_TOLERANCE * abs(expected), INFERENCE_SPREADS * spread)
    off = [abs(loss - expected) for loss in check.inference_losses if loss is not None]
    if max(off) > tolerance:
        yield (
            f"loss in inference mode: off by {max(off):.1e} from the oracle's, at most "
            f"{tolerance:.1e} is tolerated: something is dropped there too"
        )


def _finite(losses: Sequence[float | None]) -> Floats | None:
    """``losses`` as an array; nothing where one is missing."""
    if any(loss is None for loss in losses):
        return None
    return np.array(losses, np.float64)
