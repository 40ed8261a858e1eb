import math
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.report.charts import MANY_IN_A_ROW, draw, some_of, thinned
from harness.report.drawing import round_numbers
from harness.report.figures import (
    Bar,
    Bars,
    Box,
    Boxes,
    Chart,
    Cloud,
    Course,
    Curves,
    Forest,
    Line,
    Panel,
    Ratio,
    Reach,
    Scale,
    Scaling,
    Scatter,
    Stack,
    Style,
)
from harness.report.palette import ALL, SERIES
from harness.report.scaling_chart import dodges

NAME = "A$\\frac{<b>&\"' \U0001f600"
STYLE = Style(7, 9)


def charts(name: str = NAME) -> Iterator[Chart]:
    yield Bars(
        unit="examples/s",
        bars=(
            Bar(label=name, style=STYLE, value=10.0, low=9.0, high=11.0, text="10"),
            Bar(label=name, style=STYLE, value=0.0, text="0", faint=True),
        ),
    )
    yield Boxes(
        unit="ms a step",
        boxes=(
            Box(label=name, style=STYLE, values=(20.0, 21.0, 25.0), text="21.0 ms"),
            Box(label=name, style=STYLE, values=(), text="", faint=True),
        ),
    )
    yield Forest(
        unit="times as fast",
        band=(0.97, 1.03),
        floor=(0.99, 1.01),
        ratios=(
            Ratio(label=name, style=STYLE, value=2.0, low=1.9, high=2.1, text="2.0×"),
            Ratio(label=name, style=STYLE, value=1.0, text="1.0×"),
        ),
    )
    lines = (
        Line(label=name, style=STYLE, x=(1.0, 2.0), y=(0.5, math.nan)),
        Line(label="published", style=None, x=(1.0,), y=(0.6,)),
    )
    yield Curves(unit="epochs", panels=(Panel(unit="accuracy", lines=lines),) * 2)
    members = (((1.0, 2.0), (0.4, math.nan)),) * 2
    faint = Line(label=name, style=STYLE, x=(1.0, 2.0), y=(1e-7, 0.0), members=members)
    yield Curves(unit="step", panels=(Panel(unit="deviation", lines=(faint,), log=True),))
    yield Stack(unit="seconds", parts=("a", "b"), rows=((name, (1.0, 2.0)),))
    cloud = Cloud(
        label=name, style=STYLE, faint=False, x=(0.0, 1.0), y=(20.0, 21.0), flagged=(False, True)
    )
    yield Scatter(x_unit="minutes", y_unit="ms", clouds=(cloud,))
    reaches = (Reach(x=32, y=9e3, low=8.9e3, high=9.2e3), Reach(x=4096, y=1.5e4))
    panel = Scale(title=name, courses=(Course(label=name, style=STYLE, points=reaches),))
    yield Scaling(
        x_unit="batch size", y_unit="examples/s", places=(32, 4096), panels=(panel,) * 2, log=True
    )


def empty_charts() -> Iterator[Chart]:
    yield Bars(unit="", bars=())
    yield Boxes(unit="", boxes=())
    yield Forest(unit="", band=(0.97, 1.03), floor=None, ratios=())
    yield Curves(unit="", panels=())
    yield Curves(unit="", panels=(Panel(unit="", lines=()),))
    yield Curves(unit="", panels=(Panel(unit="", lines=(), log=True),))
    yield Stack(unit="", parts=("a",), rows=())
    yield Scatter(x_unit="", y_unit="", clouds=())
    yield Scaling(x_unit="", y_unit="", places=(), panels=())
    yield Scaling(x_unit="", y_unit="", places=(), panels=(Scale(title="", courses=()),), log=True)
    nothing = Scale(title="", courses=())
    yield Scaling(x_unit="", y_unit="", places=(1, 2), panels=(nothing,), ideal=1.0)


@pytest.mark.parametrize("chart", [*charts()], ids=lambda chart: type(chart).__name__)
def test_charts_are_the_same_bytes_each_time_and_hold_labels_as_text(chart: Chart) -> None:
    svg = draw(chart)
    assert svg == draw(chart)
    texts = "".join(ElementTree.fromstring(svg).itertext())
    assert "$\\frac{<b>&" in texts


@pytest.mark.parametrize("chart", [*empty_charts()], ids=lambda chart: type(chart).__name__)
def test_charts_of_nothing_can_be_drawn(chart: Chart) -> None:
    ElementTree.fromstring(draw(chart))


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw(next(charts()))
    assert dict(mpl.rcParams) == before


def test_labels_that_are_too_long_are_cut() -> None:
    (bars, *_) = charts("x" * 500)
    texts = "".join(ElementTree.fromstring(draw(bars)).itertext())
    assert "x" * 39 + "…" in texts
    assert "x" * 40 not in texts


def test_colours_are_told_apart_by_name_and_value() -> None:
    assert len({tint.variable for tint in ALL}) == len(ALL)
    assert len({tint.light for tint in ALL}) == len(ALL)
    assert all(tint.light == tint.light.lower() for tint in ALL)


@pytest.mark.parametrize("surface", ["light", "dark"])
def test_series_stand_out_from_the_page(surface: str) -> None:
    page = _luminance({"light": "#ffffff", "dark": "#171b22"}[surface])
    for tint in SERIES:
        colour = _luminance(getattr(tint, surface))
        contrast = (max(page, colour) + 0.05) / (min(page, colour) + 0.05)
        assert contrast >= 3, tint  # WCAG 2.1, 1.4.11: graphical objects


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.44, 1.1, [0.5, 0.7, 1.0]),
        (0.9, 40, [1, 3, 10, 30]),
        (10.4, 40, [15, 20, 30, 40]),
        (0.96, 1.04, [0.96, 0.98, 1.0, 1.02, 1.04]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert round_numbers(low, high) == pytest.approx(expected)


def test_of_many_values_a_row_shows_some_and_both_ends() -> None:
    few = some_of([float(each) for each in range(10_000)])
    assert len(few) == MANY_IN_A_ROW
    assert (few[0], few[-1]) == (0.0, 9_999.0)
    assert few[MANY_IN_A_ROW // 2] == pytest.approx(5_000, abs=50)


def test_dots_that_would_cover_each_other_are_drawn_once() -> None:
    def cloud(points: int) -> Cloud:
        return Cloud(
            label="a",
            style=STYLE,
            faint=False,
            x=tuple(index / points for index in range(points)),
            y=tuple(20.0 + index % 7 for index in range(points)),
            flagged=tuple(index == points // 2 for index in range(points)),
        )

    assert thinned([cloud(1_000)]) == [cloud(1_000)]
    (few,) = thinned([cloud(100_000)])
    assert 1_000 < len(few.x) < 4_000
    assert sum(few.flagged) == 1
    assert (min(few.y), max(few.y)) == (20.0, 26.0)
    assert max(few.x) - min(few.x) > 0.99


def test_a_sweep_names_its_places_and_draws_whiskers_where_intervals_are() -> None:
    def texts(svg: str) -> list[str]:
        return [text for each in ElementTree.fromstring(svg).itertext() if (text := each.strip())]

    def sweep(*points: Reach, **changes: Any) -> str:
        scale = Scale(title="2 threads", courses=(Course(label="A", style=STYLE, points=points),))
        axes = {"x_unit": "batch size", "y_unit": "examples/s", "places": (32, 500, 4096)}
        return draw(Scaling(panels=(scale,), **{**axes, **changes}))

    known = sweep(Reach(x=32, y=900.0), Reach(x=4096, y=1500.0), log=True)
    assert {"32", "500", "4,096", "2 threads", "batch size", "examples/s", "A"} <= {*texts(known)}
    assert "0" not in texts(known)
    # What is not logarithmic begins at zero.
    assert "0.00" in texts(sweep(Reach(x=32, y=1.0), Reach(x=4096, y=0.7), ideal=1.0))
    with_interval = sweep(Reach(x=32, y=900.0, low=800.0, high=1000.0), Reach(x=4096, y=1500.0))
    without = sweep(Reach(x=32, y=900.0), Reach(x=4096, y=1500.0))
    assert with_interval.count("<path") > without.count("<path")


def test_whiskers_of_one_place_stand_beside_each_other() -> None:
    chart = Scaling(x_unit="", y_unit="", places=(32, 4096), panels=())
    assert dodges(chart, 1) == [1.0]
    left, middle, right = dodges(chart, 3)
    assert left < middle == 1.0 < right == pytest.approx(1 / left)
    # Of many contenders they go no further away from their marks.
    assert dodges(chart, 9)[-1] == pytest.approx(dodges(chart, 5)[-1])
