"""Numbers with their units, as a reader sees them. Three digits, unless a name says otherwise."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable

from harness.analysis.estimate import Interval

NOTHING = "—"


class Amount(str):
    """A number as a reader sees it, which remembers the number: for sorting and for raw values."""

    raw: float
    unit: str
    """Of ``raw``; nothing for a plain number."""

    def __new__(cls, text: str, raw: float, unit: str = "") -> Amount:
        """``text``, which stands for ``raw``, counted in ``unit``."""
        amount = super().__new__(cls, text)
        amount.raw, amount.unit = raw, unit
        return amount


def day(moment: float) -> str:
    """``2026-11-28``: the day in UTC of ``moment``, in seconds since 1970."""
    return f"{datetime.datetime.fromtimestamp(moment, datetime.timezone.utc):%Y-%m-%d}"


def number(value: float | None) -> str:
    """``13,412``, ``41.9``, ``0.0342``: whole above 1,000, else three digits."""
    if value is None or not math.isfinite(value):
        return NOTHING
    rounded = abs(float(f"{value:.3g}"))  # 9.999 has the digits of 10.0
    if rounded >= 1000:
        return Amount(f"{value:,.0f}", value)
    digits = 2 - math.floor(math.log10(rounded)) if rounded else 0
    return Amount(f"{value:.{max(0, digits)}f}", value)


def times(value: float) -> str:
    """``2.1×``, ``1.013×``."""
    return Amount(f"{value:,.{_digits(value)}f}×", value, "×")


def bounds(interval: Interval) -> str:
    """``[2.0, 2.2]``, ``[0.982, 1.019]``: the digits of the ratio in the middle."""
    digits = _digits(math.sqrt(interval.low * interval.high))
    low, high = f"{interval.low:,.{digits}f}", f"{interval.high:,.{digits}f}"
    if low == high:
        low, high = f"{interval.low:,.{digits + 2}f}", f"{interval.high:,.{digits + 2}f}"
    return f"[{low}, {high}]"


def _digits(ratio: float) -> int:
    """So many after the point that a ratio near 1 can be held against ±3 %."""
    if 0.8 < ratio < 1.25:
        return 3
    if ratio >= 10 or ratio <= 0:
        return 0
    return 1 if ratio >= 2 else max(2, 1 - math.floor(math.log10(ratio)))


def wide_bounds(interval: Interval) -> str:
    """``[12,900, 13,800]``: of a quantity that is not a ratio."""
    return f"[{number(interval.low)}, {number(interval.high)}]"


def level(interval: Interval) -> str:
    """``99.5 %``: the interval's confidence."""
    return f"{interval.confidence * 100:.4g} %"


def percent(share: float) -> str:
    """``2.4 %`` for 0.024; what is close to nothing says so."""
    text = "< 0.1 %" if 0 < share < 0.001 else f"{share * 100:.3g} %"
    return Amount(text, share, "share")


def accuracy(share: float | None) -> str:
    """``74.63 %``: two digits after the point, as ten thousand test images have."""
    if share is None or not math.isfinite(share):
        return NOTHING
    return Amount(f"{share * 100:.2f} %", share, "share")


def seconds(value: float | None) -> str:
    """``21.3 ms``, ``1.90 s``, ``2 min 5 s``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return Amount(_seconds_in_words(value), value, "s")


def duration(value: float) -> str:
    """``40 seconds``, ``9 minutes``, ``3 hours``: as somebody says it who estimates."""
    for unit, size, enough in (("second", 1, 100), ("minute", 60, 100 * 60)):
        if value < enough:
            return count(max(1, round(value / size)), unit)
    return count(round(value / 3600), "hour")


def _seconds_in_words(value: float) -> str:
    if 0 < value < 0.9995:
        return f"{number(value * 1000)} ms"
    if value < 119.5:
        return f"{number(value)} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def mebibytes(value: float) -> str:
    """``612 MiB`` for a number of bytes."""
    return Amount(f"{value / 2**20:,.0f} MiB", value, "bytes")


def gibibytes(value: float) -> str:
    """``7.8 GiB`` for a number of bytes."""
    return Amount(f"{value / 2**30:,.1f} GiB", value, "bytes")


def deviation(value: float | None) -> str:
    """``3.1e-7``; what has no finite value says so."""
    if value is None:
        return "not finite"
    if value == 0:
        return Amount("0", 0.0)
    mantissa, exponent = f"{value:.1e}".split("e")
    if int(exponent) >= 0:
        return Amount(f"{value:,.1f}", value)
    return Amount(f"{mantissa}e{int(exponent)}", value)


def p_value(p: float | None) -> str:
    """``p = 0.032``, ``p < 0.0001``."""
    if p is None or math.isnan(p):
        return ""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def count(value: int, noun: str) -> str:
    """``1 block``, ``10 blocks``, ``1,000 windows``."""
    return Amount(f"{value:,} {noun}" + ("" if value == 1 else "s"), value)


def range_of_counts(values: Iterable[int], noun: str) -> str:
    """``5 blocks``, or ``3 to 5 blocks`` where they differ."""
    known = sorted(values)
    few, most = known[0], known[-1]
    return count(most, noun) if few == most else f"{few:,} to {count(most, noun)}"


def moment(iso: str) -> str:
    """``2025-10-09 09:33 UTC`` for an ISO 8601 time; anything else as it is."""
    date, letter, time = iso.partition("T")
    return f"{date} {time[:5]} UTC" if letter and time[2:3] == ":" else iso


def shortened(digest: str) -> str:
    """The first 12 digits of a hash: enough to compare by eye."""
    return digest[:12]


def joined(parts: tuple[str, ...] | list[str]) -> str:
    """``a, b and c``."""
    return " and ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else "".join(parts)
