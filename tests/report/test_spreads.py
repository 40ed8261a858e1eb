from harness.analysis.estimate import Interval
from harness.report.formats import Amount
from harness.report.spreads import (
    accuracy_bounds,
    accuracy_spread,
    loss,
    loss_spread,
    points,
    points_bounds,
    seconds_spread,
)


def test_several_values_are_a_median_and_from_where_to_where() -> None:
    text = accuracy_spread([0.7411, None, 0.7502, 0.7463])
    assert text == "74.63 (74.11 to 75.02) %"
    assert isinstance(text, Amount)
    assert text.raw == 0.7463
    assert loss_spread([0.66594, 0.7]) == "0.6830 (0.6659 to 0.7000)"
    assert seconds_spread([29.0, 35.1, 31.2]) == "31.2 s (29.0 s to 35.1 s)"


def test_what_looks_the_same_is_said_once() -> None:
    assert accuracy_spread([0.1, 0.1]) == "10.00 %"
    assert accuracy_spread([0.7463]) == "74.63 %"
    assert seconds_spread([3.2001, 3.2002]) == "3.20 s"


def test_nothing_is_a_dash() -> None:
    assert accuracy_spread([]) == accuracy_spread([None]) == loss_spread([]) == loss(None) == "—"
    assert points(None) == points_bounds(None) == accuracy_bounds(None) == "—"


def test_differences_are_in_points_with_their_sign() -> None:
    assert points(0.0003) == "+0.03"
    assert points(-0.0123) == "-1.23"
    assert points(0.0) == points(-1e-9) == points(1e-9) == "0.00"
    interval = Interval(low=-0.0005, high=0.0009, confidence=0.9)
    assert points_bounds(interval) == "[-0.05, +0.09]"
    assert accuracy_bounds(Interval(low=0.741, high=0.7501, confidence=0.95)) == "[74.10, 75.01] %"
