"""A roofline drawn: what was reached, under what the machine allows."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.drawing import canvas, draw_legend, set_plain_ticks, short
from harness.report.figures import Roofline, RoofPoint
from harness.report.marks import mark, mark_panel
from harness.report.palette import INK, MARKERS, MUTED, series

HEIGHT_INCHES = 4.0
CLOSE = 1.12
"""Columns whose intensities differ by less than this ratio would cover each other's names."""


def roofline_figure(chart: Roofline) -> Figure:
    """Points in columns, one a computation, its name above; the roofs above them all."""
    figure, axes = canvas(HEIGHT_INCHES)
    axes.set_xscale("log")
    axes.set_yscale("log")
    xs = [point.x for point in chart.points]
    ys = [point.y for point in chart.points]
    low, high = (
        min([*xs, chart.peak / chart.slope]) / 4,
        max(max(xs), chart.peak / chart.slope) * 2.2,
    )
    _draw_roofs(axes, chart, low, high)
    drawn: set[str] = set()
    for point in chart.points:
        label = short(point.label) if point.label not in drawn else f"_{point.label}"
        drawn.add(point.label)
        dots = axes.plot(
            [point.x],
            [point.y],
            linestyle="",
            marker=MARKERS[(point.style.colour + point.style.variant) % len(MARKERS)],
            markersize=5,
            markerfacecolor=series(point.style.colour) if not point.style.variant else "none",
            markeredgecolor=series(point.style.colour),
            label=label,
            zorder=4,
        )
        mark(dots, point.style, label=f"{point.label}: {point.piece}")
    _name_columns(axes, chart)
    axes.set_xlim(low, high)
    axes.set_ylim(min(ys) / 7, max(chart.peak, *ys) * 2)  # room for the names below

    set_plain_ticks(axes.xaxis, *axes.get_xlim())
    set_plain_ticks(axes.yaxis, *axes.get_ylim())
    axes.tick_params(labelcolor=MUTED.light)
    axes.set_xlabel(chart.x_unit)
    axes.set_ylabel(chart.y_unit, fontsize=8)
    draw_legend(figure, *axes.get_legend_handles_labels())
    mark_panel(axes, x=chart.x_unit, y=chart.y_unit)
    return figure


def _draw_roofs(axes: Axes, chart: Roofline, low: float, high: float) -> None:
    ridge = chart.peak / chart.slope
    axes.plot(
        [low, ridge, high],
        [low * chart.slope, chart.peak, chart.peak],
        color=INK.light,
        linewidth=1.4,
        label="_roof",
        zorder=2,
    )
    axes.annotate(
        chart.peak_text,
        (high, chart.peak),
        (-4, 4),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
        color=INK.light,
    )
    middle = math.sqrt(low * min(ridge, high))
    axes.text(
        middle,
        middle * chart.slope * 1.2,
        chart.slope_text,
        rotation=math.degrees(math.atan2(chart.slope, 1)),  # as the roof, whatever the scales
        rotation_mode="anchor",
        transform_rotates_text=True,
        ha="center",
        fontsize=7.5,
        color=INK.light,
    )


def _name_columns(axes: Axes, chart: Roofline) -> None:
    """Each computation's name stands upright below its lowest point; neighbours share theirs."""
    columns: list[list[RoofPoint]] = []
    for point in sorted(chart.points, key=lambda each: each.x):
        if columns and point.x / columns[-1][0].x < CLOSE:
            columns[-1].append(point)
        else:
            columns.append([point])
    for column in columns:
        names = ", ".join(dict.fromkeys(each.piece for each in column))
        axes.annotate(
            short(names),
            (column[0].x, min(each.y for each in column)),
            (0, -7),
            textcoords="offset points",
            ha="center",
            va="top",
            rotation=90,
            fontsize=7,
            color=MUTED.light,
        )
