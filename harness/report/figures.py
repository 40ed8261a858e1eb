"""What charts show, as numbers and labels: data for ``charts``, free of any drawing.

Numbers are in the unit that the axis label names. Not-a-number means that there is nothing to draw.
"""

from __future__ import annotations

import msgspec


class Style(msgspec.Struct, frozen=True):
    """How a contender looks in every chart of a report."""

    colour: int
    """Index of its framework, in order of first appearance."""
    variant: int = 0
    """Tells contenders of one framework apart: marker, dash and hatch."""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One value with its interval."""

    label: str
    style: Style
    value: float
    low: float | None = None
    high: float | None = None
    text: str
    """The value in words."""
    faint: bool = False
    """Whether it is another form of a contender that stands above: the reference's second copy, or
    the one with its own loader."""


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """Horizontal bars from zero."""

    unit: str
    bars: tuple[Bar, ...]


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One ratio with its interval, of a forest plot."""

    label: str
    style: Style
    value: float
    low: float | None = None
    high: float | None = None
    text: str
    """The ratio and its verdict, in words."""


class Forest(msgspec.Struct, frozen=True, kw_only=True):
    """Ratios on a logarithmic axis around 1."""

    unit: str
    ratios: tuple[Ratio, ...]
    band: tuple[float, float]
    """Ratios that count as equivalent."""
    floor: tuple[float, float] | None = None
    """The A/A interval of the ratio."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A curve."""

    label: str
    style: Style | None
    """None: a published curve, drawn dashed in the ink's colour."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    """With ``high`` the edges of a band around it; as long as ``x``, or empty."""
    high: tuple[float, ...] = ()
    members: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()
    """Horizontal and vertical places of the curves that it sums up: drawn faint behind it."""
    one_of_many: bool = False
    """Whether it is one of a bundle: drawn thin, and not in the legend."""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """Curves that share a vertical axis."""

    unit: str
    lines: tuple[Line, ...]
    log: bool = False
    """Whether the axis is logarithmic: nothing is drawn where a value is not above 0."""


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """Panels, one above the other, over one horizontal axis."""

    unit: str
    panels: tuple[Panel, ...]


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """One bar a row, made of parts that follow each other."""

    unit: str
    parts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    """Label, and one length a part."""
    styles: tuple[Style, ...] = ()
    """Of the rows, where each is a contender's."""


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one contender."""

    label: str
    style: Style
    faint: bool
    """Whether it is the reference contender's second copy."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    flagged: tuple[bool, ...]


class Scatter(msgspec.Struct, frozen=True, kw_only=True):
    """Points over time; the flagged ones are marked."""

    x_unit: str
    y_unit: str
    clouds: tuple[Cloud, ...]


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """How the values of one contender are distributed."""

    label: str
    style: Style
    values: tuple[float, ...]
    text: str
    """In words."""
    faint: bool = False
    """Whether it is the reference contender's second copy."""


class Boxes(msgspec.Struct, frozen=True, kw_only=True):
    """One row a contender: every value, a box from quartile to quartile, a line at the median."""

    unit: str
    boxes: tuple[Box, ...]


class RoofPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What one contender reached in one computation."""

    label: str
    """The contender's name."""
    piece: str
    """What was computed: written once, above all points of it."""
    style: Style
    x: float
    y: float


class Roofline(msgspec.Struct, frozen=True, kw_only=True):
    """Rates over intensities, both logarithmic, under the roofs of a machine."""

    x_unit: str
    y_unit: str
    peak: float
    """Of the flat roof, in ``y_unit``."""
    slope: float
    """``y_unit`` for each ``x_unit``: of the slanting roof."""
    peak_text: str
    slope_text: str
    points: tuple[RoofPoint, ...]


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """One value at one place, with its interval."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """One contender over all places of a panel."""

    label: str
    style: Style
    points: tuple[Reach, ...]


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Courses under the same circumstances."""

    title: str
    """Which circumstances; may be empty."""
    courses: tuple[Course, ...]


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """Panels on the same axes, one above the other, over a few places on a logarithmic one."""

    x_unit: str
    y_unit: str
    places: tuple[float, ...]
    """Where something was measured: written out on the horizontal axis."""
    panels: tuple[Scale, ...]
    log: bool = False
    """Whether the vertical axis is logarithmic too; else it begins at zero."""
    ideal: float | None = None
    """A value to hold the others against: a line across."""


Chart = Bars | Boxes | Forest | Curves | Stack | Scatter | Roofline | Scaling
