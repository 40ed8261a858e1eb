"""Several values of one quantity in few words: ``74.63 (74.10 to 75.01) %``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

from harness.analysis.estimate import Interval
from harness.report.formats import NOTHING, Amount, accuracy, seconds


def spread(values: Iterable[float | None], in_words: Callable[[float], str]) -> str:
    """The median, and from where to where they go: ``31.2 s (29.0 s to 35.1 s)``.

    Its number, for sorting, is the median.
    """
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    low, middle, high = (in_words(each) for each in (min(known), median(known), max(known)))
    return middle if low == high else Amount(f"{middle} ({low} to {high})", median(known))


def accuracy_spread(values: Iterable[float | None]) -> str:
    """``74.63 (74.10 to 75.01) %``; of one value ``74.63 %``."""
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    low, middle, high = (f"{each * 100:.2f}" for each in (min(known), median(known), max(known)))
    if low == high:
        return accuracy(median(known))
    return Amount(f"{middle} ({low} to {high}) %", median(known), "share")


def loss_spread(values: Iterable[float | None]) -> str:
    """``0.6659 (0.6512 to 0.6801)``, nats."""
    return spread(values, loss)


def seconds_spread(values: Iterable[float | None]) -> str:
    """``31.2 s (29.0 s to 35.1 s)``."""
    return spread(values, seconds)


def loss(value: float | None) -> str:
    """``0.6659``: four digits, as tutorials print."""
    return NOTHING if value is None else Amount(f"{value:.4f}", value)


def accuracy_bounds(interval: Interval | None) -> str:
    """``[74.10, 75.01] %``: an interval of an accuracy."""
    if interval is None:
        return NOTHING
    return f"[{interval.low * 100:.2f}, {interval.high * 100:.2f}] %"


def points(difference: float | None) -> str:
    """``+0.03``: a difference of accuracies in percentage points."""
    if difference is None:
        return NOTHING
    shown = f"{difference * 100:+.2f}"
    return Amount("0.00" if shown in ("-0.00", "+0.00") else shown, difference, "share")


def points_bounds(interval: Interval | None) -> str:
    """``[-0.05, +0.09]``."""
    return f"[{points(interval.low)}, {points(interval.high)}]" if interval else NOTHING
