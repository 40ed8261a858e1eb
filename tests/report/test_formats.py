import math

import pytest

from harness.analysis.estimate import Interval
from harness.report import formats


def interval(low: float, high: float, confidence: float = 0.995) -> Interval:
    return Interval(low=low, high=high, confidence=confidence)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (13412.4, "13,412"),
        (41.94, "41.9"),
        (0.03421, "0.0342"),
        (9.9999, "10.0"),
        (999.96, "1,000"),
        (0.0, "0"),
        (None, "—"),
        (math.nan, "—"),
        (math.inf, "—"),
    ],
)
def test_numbers_have_three_digits(value: float | None, shown: str) -> None:
    assert formats.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2.113, "2.1×"),
        (1.5, "1.50×"),
        (1.0132, "1.013×"),
        (0.4731, "0.47×"),
        (0.0471, "0.047×"),
        (12.4, "12×"),
    ],
)
def test_ratios_near_one_can_be_held_against_three_percent(value: float, shown: str) -> None:
    assert formats.times(value) == shown


def test_bounds_have_equal_digits_and_never_look_alike() -> None:
    assert formats.bounds(interval(2.04, 2.18)) == "[2.0, 2.2]"
    assert formats.bounds(interval(0.9684, 1.0291)) == "[0.968, 1.029]"
    assert formats.bounds(interval(3.501, 3.512)) == "[3.501, 3.512]"


def test_levels_keep_their_half_percent() -> None:
    assert formats.level(interval(1, 2)) == "99.5 %"
    assert formats.level(interval(1, 2, 0.95)) == "95 %"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.02134, "21.3 ms"),
        (1.9, "1.90 s"),
        (125.2, "2 min 5 s"),
        (7290, "2 h 1 min"),
        (0, "0 s"),
        (None, "—"),
    ],
)
def test_seconds(value: float | None, shown: str) -> None:
    assert formats.seconds(value) == shown


def test_deviations_are_short_and_say_when_they_are_no_numbers() -> None:
    assert formats.deviation(3.14e-7) == "3.1e-7"
    assert formats.deviation(0.0) == "0"
    assert formats.deviation(8.0) == "8.0"
    assert formats.deviation(0.65) == "6.5e-1"
    assert formats.deviation(None) == "not finite"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.2, "1 second"),
        (99, "99 seconds"),
        (546, "9 minutes"),
        (5_999, "100 minutes"),
        (7_300, "2 hours"),
    ],
)
def test_durations_are_said_as_an_estimate(value: float, shown: str) -> None:
    assert formats.duration(value) == shown


def test_ranges_of_counts() -> None:
    assert formats.range_of_counts((5, 5), "block") == "5 blocks"
    assert formats.range_of_counts((5, 3), "block") == "3 to 5 blocks"


def test_p_values() -> None:
    assert formats.p_value(0.0324) == "p = 0.032"
    assert formats.p_value(1e-9) == "p < 0.0001"
    assert formats.p_value(None) == formats.p_value(math.nan) == ""


def test_moments_and_counts() -> None:
    assert formats.moment("2025-10-09T09:33:20Z") == "2025-10-09 09:33 UTC"
    assert formats.moment("yesterday") == "yesterday"
    assert formats.count(1, "block") == "1 block"
    assert formats.count(1200, "window") == "1,200 windows"
    assert formats.percent(0.0000833) == "< 0.1 %"
