"""A sweep drawn: how contenders fare from place to place, in panels that share their axes."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullFormatter, NullLocator

from harness.report.drawing import added, draw_legend, new_figure, set_plain_ticks, short
from harness.report.figures import Course, Scaling
from harness.report.marks import mark, mark_panel
from harness.report.palette import DASHES, MARKERS, MUTED, series

PANEL_INCHES = 1.9
MARGIN = 1.25
"""Room left and right of the outermost places, as a ratio."""
HEADROOM = 1.1
DODGE = 0.02
"""From one contender's whiskers to the next one's, of the axis' width."""
WIDEST_DODGE = 0.08
"""From the first to the last."""


def scaling_figure(chart: Scaling) -> Figure:
    """Each panel has a line a contender, with a whisker at each place; the legend stands above."""
    count = len(chart.panels)
    figure = new_figure(0.7 + PANEL_INCHES * count)
    for index, panel in enumerate(chart.panels):
        axes = figure.add_subplot(count, 1, index + 1)
        if chart.ideal is not None:
            axes.axhline(chart.ideal, color=MUTED.light, linewidth=0.8, zorder=1)
        for course, beside in zip(panel.courses, dodges(chart, len(panel.courses)), strict=True):
            _draw(axes, course, beside)
        axes.set_title(short(panel.title), loc="left", fontsize=8.5, color=MUTED.light)
        _set_scales(axes, chart)
        axes.set_ylabel(chart.y_unit, fontsize=8)
        axes.set_xlabel(chart.x_unit if index == count - 1 else "")
        axes.tick_params(labelcolor=MUTED.light)
    labelled = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    draw_legend(figure, tuple(labelled.values()), tuple(labelled))
    for axes in figure.axes:
        mark_panel(axes, x=chart.x_unit, y=chart.y_unit)
    return figure


def dodges(chart: Scaling, count: int) -> list[float]:
    """For each of ``count`` courses, by what a place is multiplied where its whiskers are drawn:
    those of one place would cover each other."""
    if not chart.places:
        return [1.0] * count
    width = math.log(max(chart.places) / min(chart.places) * MARGIN**2)
    step = width * min(DODGE, WIDEST_DODGE / max(1, count - 1))
    return [math.exp(step * (number - (count - 1) / 2)) for number in range(count)]


def _draw(axes: Axes, course: Course, beside: float) -> None:
    """``beside``: what moves whiskers, and whiskers alone, so that places stay what they are."""
    style, colour = course.style, series(course.style.colour)
    before = list(axes.get_children())
    for point in course.points:
        if point.low is not None and point.high is not None:
            axes.errorbar(
                [point.x * beside],
                [point.y],
                yerr=[[point.y - point.low], [point.high - point.y]],
                fmt="none",
                ecolor=colour,
                elinewidth=1.4,
                capsize=3,
                capthick=1.4,
                zorder=3,
            )
    mark(added(axes, before), style)
    drawn = axes.plot(
        [point.x for point in course.points],
        [point.y for point in course.points],
        color=colour,
        linestyle=DASHES[style.variant % len(DASHES)],
        marker=MARKERS[(style.colour + style.variant) % len(MARKERS)],
        markersize=5,
        linewidth=1.6,
        label=short(course.label),
        zorder=4,
    )
    mark(drawn, style, label=course.label)


def _set_scales(axes: Axes, chart: Scaling) -> None:
    """The same in all panels, so that one can be read against another."""
    if not chart.places:
        return
    axes.set_xscale("log")
    axes.set_xlim(min(chart.places) / MARGIN, max(chart.places) * MARGIN)
    axes.xaxis.set_major_locator(FixedLocator(chart.places))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{place:,.6g}" for place in chart.places]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    points = [point for panel in chart.panels for each in panel.courses for point in each.points]
    values = [
        value for each in points for value in (each.low, each.y, each.high) if value is not None
    ]
    if chart.ideal is not None:
        values.append(chart.ideal)
    if not values:
        return
    if chart.log:
        axes.set_yscale("log")
        axes.set_ylim(min(values) / HEADROOM, max(values) * HEADROOM)
        set_plain_ticks(axes.yaxis, *axes.get_ylim())
    else:
        axes.set_ylim(0, max(values) * HEADROOM)
        axes.yaxis.set_major_locator(MaxNLocator(5))
