"""A cell's history as a picture: a point a run, and the levels between change points."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

from harness.analysis.history import HistoryPoint, Levels
from harness.report.charts import STYLE
from harness.report.palette import FLAG, INK, MARKERS, MUTED, series

SIZE_INCHES = (9.0, 4.2)
PNG_DOTS_PER_INCH = 150
DATES = 7
"""Labels along the axis."""
MANY_POINTS = 150
"""From so many on, smaller marks."""
FORMATS = (".svg", ".png")


def history_picture(found: Levels, title: str, suffix: str) -> bytes:
    """The picture as SVG or PNG, the same bytes for the same data."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _points(axes, found.points)
        _levels(axes, found)
        _dates(axes, found.points)
        axes.set_title(title, loc="left", fontsize=9, color=INK.light)
        axes.set_ylabel("examples/s at the machine's usual speed")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axes.margins(x=0.02, y=0.12)
        figure.legend(loc="outside lower center", ncols=6, fontsize=8, labelcolor=MUTED.light)
        buffer = io.BytesIO()
        kind = suffix.removeprefix(".")
        nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(
            buffer,
            format=kind,
            dpi=PNG_DOTS_PER_INCH,
            metadata=nothing if kind == "svg" else {"Software": None},
        )
    return buffer.getvalue()


def picture_name(cell: str) -> Path:
    """A file's name for a cell's series: its id in one word."""
    return Path("".join(each if each.isalnum() or each in "-+=.~" else "_" for each in cell))


def _points(axes: Axes, points: Sequence[HistoryPoint]) -> None:
    """One colour and mark a version; as measured, without the control, a faint point behind."""
    size = 2.5 if len(points) > MANY_POINTS else 4.5
    places = list(range(len(points)))
    axes.plot(
        places,
        [point.examples_per_second for point in points],
        linestyle="none", marker="o", markersize=size * 0.6, color=MUTED.light, alpha=0.35,
        markeredgewidth=0, label="as measured", zorder=1,
    )  # fmt: skip
    for number, version in enumerate(dict.fromkeys(point.version for point in points)):
        own = [place for place in places if points[place].version == version]
        axes.plot(
            own,
            [points[place].normalised_examples_per_second for place in own],
            linestyle="none", marker=MARKERS[number % len(MARKERS)], markersize=size,
            markeredgewidth=0, color=series(number), alpha=0.85, label=version, zorder=2,
        )  # fmt: skip
    lost = [place for place in places if points[place].parity == "lost"]
    if lost:
        axes.plot(
            lost,
            [points[place].normalised_examples_per_second for place in lost],
            linestyle="none", marker="x", markersize=size * 1.8, color=FLAG.light,
            label="parity failed", zorder=3,
        )  # fmt: skip


def _levels(axes: Axes, found: Levels) -> None:
    """A line for each level; where one begins, a dashed line and the change in words."""
    if not found.levels:
        return  # no run counts
    ends = [*(level.first for level in found.levels[1:]), len(found.points)]
    for level, end in zip(found.levels, ends, strict=True):
        rate = level.examples_per_second
        axes.plot([level.first - 0.5, end - 0.5], [rate, rate], color=INK.light, linewidth=1.4,
                  zorder=4, label="level" if level is found.levels[0] else None)  # fmt: skip
        change = found.points[level.first].change
        if change is None:
            continue
        axes.axvline(level.first - 0.5, color=FLAG.light, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{change:+.1%}",
            (level.first - 0.5, 1),
            (3, -3),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=FLAG.light,
        )


def _dates(axes: Axes, points: Sequence[HistoryPoint]) -> None:
    """Runs stand one after the other, not by time: a few of them say when they were."""
    step = max(1, math.ceil(len(points) / DATES))
    places = list(range(0, len(points), step))
    axes.xaxis.set_major_locator(FixedLocator([float(place) for place in places]))
    axes.xaxis.set_major_formatter(FixedFormatter([points[each].created[:10] for each in places]))
    axes.set_xlabel("runs, oldest first")
