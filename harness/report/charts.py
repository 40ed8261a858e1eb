"""Chart data drawn as SVG: text stays text, and the same data give the same bytes.

Figures are as wide as a phone's screen, so that their text can be read there; wider pages scale
them up. All colours are those of ``palette``.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import matplotlib as mpl
import matplotlib.backends.backend_svg
import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.report.drawing import (
    added,
    canvas,
    draw_dots,
    draw_legend,
    draw_whisker,
    label_rows,
    mark_rows,
    new_figure,
    set_decades,
    set_plain_ticks,
    short,
    write_beside,
)
from harness.report.figures import (
    Bars,
    Boxes,
    Chart,
    Cloud,
    Curves,
    Forest,
    Line,
    Panel,
    Roofline,
    Scaling,
    Scatter,
    Stack,
)
from harness.report.formats import number
from harness.report.marks import mark, mark_panel
from harness.report.palette import (
    BAND,
    DASHES,
    FLAG,
    HATCHES,
    INK,
    MARKERS,
    MUTED,
    RULE,
    SURFACE,
    part,
    series,
)
from harness.report.roofline_chart import roofline_figure
from harness.report.scaling_chart import scaling_figure

MANY_POINTS = 12
"""Points of a curve from which on their marks would hide it."""

MANY_IN_A_ROW = 200
"""Dots of one row from which on they would cover each other."""
MANY_DOTS = 4_000
DOT_PLACES = (220, 110)
"""Places across and up where a dot can be told from its neighbours: half a dot apart."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "levelfield",
    "text.parse_math": False,  # a name may hold dollar signs
    "path.simplify": False,  # it would drop dots, which are lines without length
    "font.size": 8.5,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the layout is the same everywhere
    "text.color": INK.light,
    "axes.labelcolor": MUTED.light,
    "axes.edgecolor": RULE.light,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE.light,
    "grid.linewidth": 0.6,
    "xtick.color": RULE.light,
    "ytick.color": RULE.light,
    "xtick.labelcolor": MUTED.light,
    "ytick.labelcolor": INK.light,
    "legend.frameon": False,
    "figure.facecolor": SURFACE.light,
    "hatch.linewidth": 0.8,
}


def draw(chart: Chart) -> str:
    """``chart`` as an SVG document."""
    nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context(), warnings.catch_warnings():
        # A glyph that the measuring font lacks is drawn by the reader's own font.
        warnings.simplefilter("ignore")
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        buffer = io.StringIO()
        _figure(chart).savefig(buffer, format="svg", metadata=nothing)
    return buffer.getvalue()


def _figure(chart: Chart) -> Figure:
    if isinstance(chart, Bars | Boxes | Forest):
        figure, axes = canvas(height_inches(chart))
        draw_rows(axes, chart)
        return figure
    if isinstance(chart, Curves):
        return _curves(chart)
    if isinstance(chart, Stack):
        return _stack(chart)
    if isinstance(chart, Roofline):
        return roofline_figure(chart)
    if isinstance(chart, Scaling):
        return scaling_figure(chart)
    return _scatter(chart)


def height_inches(chart: Bars | Boxes | Forest) -> float:
    """Of a figure in which each row of ``chart`` has room."""
    if isinstance(chart, Bars):
        return 0.6 + 0.34 * len(chart.bars)
    if isinstance(chart, Boxes):
        return 0.6 + 0.42 * len(chart.boxes)
    return 0.7 + 0.42 * len(chart.ratios)


def draw_rows(axes: Axes, chart: Bars | Boxes | Forest) -> None:
    """``chart``, one contender a row, is drawn on ``axes``."""
    if isinstance(chart, Bars):
        _bars(axes, chart)
    elif isinstance(chart, Boxes):
        _boxes(axes, chart)
    else:
        _forest(axes, chart)


def _bars(axes: Axes, chart: Bars) -> None:
    """Horizontal bars from zero with their intervals; the value stands at the bar's end."""
    ends = [max(bar.value, bar.high or 0.0) for bar in chart.bars]
    for row, (bar, end) in enumerate(zip(chart.bars, ends, strict=True)):
        before = list(axes.get_children())
        axes.barh(
            row,
            bar.value,
            height=0.62,
            color=series(bar.style.colour),
            hatch=HATCHES[bar.style.variant % len(HATCHES)],
            edgecolor=SURFACE.light,
            linewidth=0,
            alpha=0.5 if bar.faint else None,
        )
        draw_whisker(axes, row, bar.low, bar.high, INK.light)
        write_beside(axes, end, row, bar.text)
        interval = "" if bar.low is None else f" [{number(bar.low)}, {number(bar.high)}]"
        words = f"{bar.label}: {bar.text}{interval} {chart.unit}"
        mark(added(axes, before), bar.style, text=words)
    axes.set_xlim(0, max(ends, default=0.0) * 1.25 or 1.0)
    label_rows(axes, [bar.label for bar in chart.bars])
    mark_rows(axes, [bar.style for bar in chart.bars])
    axes.set_xlabel(chart.unit)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _boxes(axes: Axes, chart: Boxes) -> None:
    """One row a contender: dots, above them a box from quartile to quartile with its median."""
    for row, box in enumerate(chart.boxes):
        if not box.values:
            continue
        before = list(axes.get_children())
        colour = series(box.style.colour)
        dots = some_of(box.values)
        # The same scatter each time: a multiple of the golden ratio never repeats itself.
        rows = [row + 0.3 * ((index * 0.618034) % 1 - 0.5) for index in range(len(dots))]
        draw_dots(axes, dots, rows, colour, faint=box.faint)
        low, middle, high = np.quantile(box.values, (0.25, 0.5, 0.75))
        axes.barh(row, high - low, left=low, height=0.5, color="none", edgecolor=INK.light,
                  linewidth=0.9, zorder=3)  # fmt: skip
        axes.plot([middle] * 2, [row - 0.25, row + 0.25], color=INK.light, linewidth=2.2, zorder=4)
        mark(added(axes, before), box.style, text=f"{box.label}: {box.text}")
    label_rows(axes, [box.label for box in chart.boxes], [box.text for box in chart.boxes])
    mark_rows(axes, [box.style for box in chart.boxes])
    axes.set_xlabel(chart.unit)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def some_of(values: Sequence[float]) -> list[float]:
    """Of many values, so many that a row of dots looks the same: evenly spaced order statistics,
    the least and the largest with them."""
    ordered = sorted(values)
    if len(ordered) <= MANY_IN_A_ROW:
        return ordered
    step = (len(ordered) - 1) / (MANY_IN_A_ROW - 1)
    return [ordered[round(index * step)] for index in range(MANY_IN_A_ROW)]


def _forest(axes: Axes, chart: Forest) -> None:
    """Ratios with intervals on a log axis; behind them the equivalence band and A/A."""
    axes.set_xscale("log")
    axes.axvspan(*chart.band, color=BAND.light, linewidth=0, zorder=0)
    axes.axvline(1, color=MUTED.light, linewidth=0.8, zorder=1)
    for bound in chart.floor or ():
        axes.axvline(bound, color=FLAG.light, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    for row, ratio in enumerate(chart.ratios):
        colour = series(ratio.style.colour)
        before = list(axes.get_children())
        draw_whisker(axes, row, ratio.low, ratio.high, colour, width=1.8)
        marker = MARKERS[ratio.style.variant % len(MARKERS)]
        axes.plot([ratio.value], [row], marker=marker, markersize=5.5, color=colour, zorder=4)
        mark(added(axes, before), ratio.style, text=f"{ratio.label}: {ratio.text}")
    label_rows(axes, [ratio.label for ratio in chart.ratios], [r.text for r in chart.ratios])
    mark_rows(axes, [ratio.style for ratio in chart.ratios])
    axes.set_xlabel(chart.unit)
    bounds = [bound for each in chart.ratios for bound in (each.low, each.value, each.high)]
    known = [*chart.band, *(chart.floor or ()), *(bound for bound in bounds if bound)]
    low, high = min(known), max(known)
    margin = max((high / low) ** 0.15, 1.02)
    axes.set_xlim(low / margin, high * margin)
    set_plain_ticks(axes.xaxis, *axes.get_xlim(), suffix="×")


def _curves(chart: Curves) -> Figure:
    """Panels of lines above each other; the legend stands above the first."""
    count = len(chart.panels)
    figure = new_figure(0.7 + 1.7 * count)
    first: Axes | None = None
    for index, panel in enumerate(chart.panels):
        axes = figure.add_subplot(count, 1, index + 1, sharex=first)
        first = first or axes
        draw_panel(axes, panel, chart.unit if index == count - 1 else "")
        axes.tick_params(labelcolor=MUTED.light, labelbottom=index == count - 1)
    labelled = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    draw_legend(figure, tuple(labelled.values()), tuple(labelled))
    for axes, panel in zip(figure.axes, chart.panels, strict=True):
        mark_panel(axes, x=chart.unit, y=panel.unit)
    return figure


def draw_panel(axes: Axes, panel: Panel, x_unit: str) -> None:
    """The lines of ``panel`` are drawn on ``axes``, each with a label for a legend."""
    own = sum(each.style is not None for each in panel.lines)
    for order, line in enumerate(panel.lines):
        # Thinner and thinner: curves that coincide stay visible, one inside the other.
        _band(axes, line)
        _line(axes, line, width=1.3 + 1.4 * (own - order - 1))
    axes.set_ylabel(panel.unit, fontsize=8)
    if panel.log:
        set_decades(axes, [value for line in panel.lines for value in line.y if value > 0])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(x_unit)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _band(axes: Axes, line: Line) -> None:
    """What ``line`` sums up stands faint behind it: each curve, or the band that holds them."""
    if line.style is None:
        return
    colour = series(line.style.colour)
    if line.members:
        x, y = ([v for each in line.members for v in (*each[i], math.nan)] for i in (0, 1))
        drawn = axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.4, zorder=0.5)
        mark(drawn, line.style)
    if not line.low:
        return
    band = axes.fill_between(
        line.x, line.low, line.high, color=colour, alpha=0.13, linewidth=0, zorder=0.5
    )
    mark(band, line.style)


def _line(axes: Axes, line: Line, width: float) -> None:
    if line.style is None:
        drawn = axes.plot(line.x, line.y, color=MUTED.light, linestyle=(0, (4, 2.5)), linewidth=1.2,
                          label=short(line.label), zorder=1)  # fmt: skip
        mark(drawn, None, label=line.label)
        return
    if line.one_of_many:
        # A name that begins with "_" is in no legend.
        drawn = axes.plot(line.x, line.y, color=series(line.style.colour), linewidth=1.0,
                          alpha=0.75, label=f"_{short(line.label)}")  # fmt: skip
        mark(drawn, line.style, label=line.label)
        return
    drawn = axes.plot(
        line.x,
        line.y,
        color=series(line.style.colour),
        linestyle=DASHES[line.style.variant % len(DASHES)],
        marker=MARKERS[(line.style.colour + line.style.variant) % len(MARKERS)],
        markersize=min(3.0 + width, 9.0) * (0.5 if len(line.x) > MANY_POINTS else 1),
        linewidth=min(width, 7.0),
        label=short(line.label),
    )
    mark(drawn, line.style, label=line.label)


def _stack(chart: Stack) -> Figure:
    """One bar a row, its parts one after the other; the legend stands above."""
    figure, axes = canvas(1.15 + 0.36 * len(chart.rows))
    for index, name in enumerate(chart.parts):
        drawn = axes.barh(
            range(len(chart.rows)),
            [lengths[index] for _, lengths in chart.rows],
            left=[math.fsum(lengths[:index]) for _, lengths in chart.rows],
            height=0.62,
            color=part(index),
            edgecolor=SURFACE.light,
            linewidth=0.4,
            label=name,
        )
        owners = zip_longest(drawn.patches, chart.rows, chart.styles)
        for patch, (label, lengths), style in owners:
            words = f"{label}: {name} {number(lengths[index])} {chart.unit}"
            mark(patch, style, text=words)
    label_rows(axes, [label for label, _ in chart.rows])
    mark_rows(axes, chart.styles)
    axes.set_xlim(left=0)
    axes.set_xlabel(chart.unit)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    draw_legend(figure, *axes.get_legend_handles_labels())
    return figure


def _scatter(chart: Scatter) -> Figure:
    """Points over time on a log axis; flagged ones wear a cross."""
    figure, axes = canvas(2.9)
    axes.set_yscale("log")
    clouds = thinned(chart.clouds)
    for cloud in clouds:
        draw_dots(axes, cloud.x, cloud.y, series(cloud.style.colour), faint=cloud.faint)
        axes.lines[-1].set_label(short(cloud.label))
        mark(axes.lines[-1], cloud.style, label=cloud.label)
    crosses = [point for cloud in clouds for point in _flagged(cloud)]
    if crosses:
        x, y = zip(*crosses, strict=True)
        axes.plot(x, y, linestyle="", marker="x", markersize=4.5, markeredgewidth=0.8,
                  color=FLAG.light, label="flagged")  # fmt: skip
    axes.tick_params(labelcolor=MUTED.light)
    axes.set_xlabel(chart.x_unit)
    axes.set_ylabel(chart.y_unit, fontsize=8)
    values = [y for cloud in chart.clouds for y in cloud.y]
    if values:
        axes.set_ylim(min(values) / 1.15, max(values) * 1.15)
        set_plain_ticks(axes.yaxis, *axes.get_ylim())
    draw_legend(figure, *axes.get_legend_handles_labels())
    mark_panel(axes, x=chart.x_unit, y=chart.y_unit)
    return figure


def thinned(clouds: Sequence[Cloud]) -> list[Cloud]:
    """Of many points, those that would cover each other once: a picture has only so many places.

    Otherwise ten thousand trials would make a page of many megabytes that looks no different.
    """
    total = sum(len(cloud.x) for cloud in clouds)
    positive = [y for cloud in clouds for y in cloud.y if y > 0]
    if total <= MANY_DOTS or not positive:
        return list(clouds)
    left, right = (pick(x for cloud in clouds for x in cloud.x) for pick in (min, max))
    low, high = math.log(min(positive)), math.log(max(positive))

    def place(x: float, y: float, flagged: bool) -> tuple[int, int, bool]:
        across = (x - left) / ((right - left) or 1)
        up = (math.log(y) - low) / ((high - low) or 1) if y > 0 else 0
        return round(across * DOT_PLACES[0]), round(up * DOT_PLACES[1]), flagged

    found = []
    for cloud in clouds:
        points = zip(cloud.x, cloud.y, cloud.flagged, strict=True)
        kept = list({place(*point): point for point in points}.values())
        x, y, flagged = (tuple(each) for each in zip(*kept, strict=True)) if kept else ((), (), ())
        found.append(msgspec.structs.replace(cloud, x=x, y=y, flagged=flagged))
    return found


def _flagged(cloud: Cloud) -> list[tuple[float, float]]:
    points = zip(cloud.x, cloud.y, cloud.flagged, strict=True)
    return [(x, y) for x, y, flagged in points if flagged]
