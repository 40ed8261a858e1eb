"""Strokes that several charts share: canvases, labels, whiskers, dots, ticks and legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from harness.report.figures import Style
from harness.report.marks import mark, whose
from harness.report.palette import INK, MUTED

WIDTH_INCHES = 4.2
LONGEST_LABEL = 40


def new_figure(height_inches: float) -> Figure:
    """An empty figure as wide as all others."""
    return Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")


def added(axes: Axes, before: Sequence[Artist]) -> list[Artist]:
    """What was drawn on ``axes`` since they held ``before``."""
    known = set(map(id, before))
    return [each for each in axes.get_children() if id(each) not in known]


def canvas(height_inches: float) -> tuple[Figure, Axes]:
    """A figure with one set of axes."""
    figure = new_figure(height_inches)
    return figure, figure.add_subplot()


def short(text: str) -> str:
    """``text`` on one line, cut where it would push the axes aside."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= LONGEST_LABEL else line[: LONGEST_LABEL - 1] + "…"


def label_rows(axes: Axes, labels: Sequence[str], values: Sequence[str] = ()) -> None:
    """Each row has its label at the left, over its value in words; the first row is at the top."""
    lines = [[short(each) for each in both if each] for both in zip_longest(labels, values)]
    axes.set_yticks(range(len(labels)), ["\n".join(each) for each in lines])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)


def mark_rows(axes: Axes, styles: Sequence[Style]) -> None:
    """The labels of rows are known as their contenders'."""
    for label, style in zip(axes.get_yticklabels(), styles, strict=False):
        mark(label, style)


def draw_whisker(
    axes: Axes, row: float, low: float | None, high: float | None, colour: str, width: float = 1.2
) -> None:
    """An interval is drawn on ``row``, where there is one."""
    if low is None or high is None:
        return
    axes.errorbar(
        [(low + high) / 2],
        [row],
        xerr=[[(high - low) / 2], [(high - low) / 2]],
        fmt="none",
        ecolor=colour,
        elinewidth=width,
        capsize=3,
        capthick=width,
        zorder=3,
    )


def write_beside(axes: Axes, x: float, row: float, text: str) -> None:
    """``text`` stands right of ``x``."""
    axes.annotate(
        short(text),
        (x, row),
        (5, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=INK.light,
    )


def draw_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend of few columns stands above everything, in reading order."""
    if not handles:
        return
    longest = max(len(label) for label in labels)
    columns = max(1, min(len(labels), int(72 / (longest + 7))))
    legend = figure.legend(
        list(handles),
        list(labels),
        loc="outside upper left",
        ncols=columns,
        fontsize=8,
        labelcolor=MUTED.light,
        handlelength=2.4,
        columnspacing=1.4,
        borderaxespad=0.2,
    )
    drawn = zip(handles, legend.legend_handles, legend.get_texts(), strict=True)
    for handle, symbol, text in drawn:
        style = whose(handle) if isinstance(handle, Artist) else None
        if style and symbol:
            mark((symbol, text), style, legend=True)


def draw_dots(
    axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, *, faint: bool
) -> None:
    """All points as one path of round-ended strokes without length: small, however many."""
    xs = [value for each in x for value in (each, each, math.nan)]
    ys = [value for each in y for value in (each, each, math.nan)]
    axes.plot(
        xs, ys, color=colour, linewidth=3, solid_capstyle="round", alpha=0.45 if faint else 0.9
    )


def set_plain_ticks(axis: Axis, low: float, high: float, suffix: str = "") -> None:
    """Four or so round numbers, written out, on a logarithmic axis that is often short."""
    ticks = round_numbers(low, high)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter([f"{tick:,.6g}{suffix}" for tick in ticks]))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def set_decades(axes: Axes, values: Sequence[float]) -> None:
    """The vertical axis is logarithmic, holds ``values``, and names powers of ten as ``1e-6``."""
    low, high = (pick(values, default=1.0) for pick in (min, max))
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    step = max(1, math.ceil((last - first) / 5))
    powers = range(first, max(last, first + 1) + 1, step)
    axes.set_yscale("log")
    axes.set_ylim(10.0**first, max(high, 10.0 ** powers[-1]) * 1.5)
    axes.yaxis.set_major_locator(FixedLocator([10.0**power for power in powers]))
    axes.yaxis.set_major_formatter(FixedFormatter([f"1e{power}" for power in powers]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def round_numbers(low: float, high: float) -> list[float]:
    """Up to six round numbers from ``low`` to ``high``, evenly spread to the logarithmic eye."""
    decades = range(math.floor(math.log10(low)) - 1, math.floor(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), (1, 1.5, 2, 3, 4, 5, 7)):
        found = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in found if low <= tick <= high]
        if len(inside) >= 3:
            return inside[:: math.ceil(len(inside) / 6)]
    least = (high - low) / 4 * (1 - 1e-9)
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [each * step for each in range(first, last + 1)]
