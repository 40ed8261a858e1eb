"""The report's charts on axes of somebody else's figure."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from harness.analysis.observations import Observations
from harness.errors import UsageError
from harness.report.cast import cast_of
from harness.report.charts import draw_panel, draw_rows, height_inches
from harness.report.drawing import WIDTH_INCHES
from harness.report.figures import Bars, Boxes, Chart, Curves, Forest
from harness.report.page import Figure, Gallery, Page
from harness.report.view import page_of

PANEL_INCHES = 2.6
WIDER = 1.6
"""Times as wide as a report's figure, which a phone shows."""


def charts_of(run: Observations) -> dict[str, Chart]:
    """Name of a figure in the report of ``run`` → what it shows."""
    return {each.name: each.chart for each in _figures(page_of(run))}


def _figures(page: Page) -> list[Figure]:
    galleries = [
        block
        for section in page.sections
        for block in section.blocks
        if isinstance(block, Gallery | Figure)
    ]
    return [
        figure
        for block in galleries
        for figure in (block.figures if isinstance(block, Gallery) else (block,))
    ]


def draw_chart(
    run: Observations, charts: Mapping[str, Chart], kind: str, group: str | None, axes: Axes | None
) -> Axes:
    """The chart ``kind`` of a group is drawn on ``axes``, which are new where there are none.

    Args:
        run: Whose charts these are.
        charts: As ``charts_of`` has them.
        kind: ``rates``, ``ratios``, ``distribution``, or ``epochs``, its first panel.
        group: Its name; none: the first of the plan.
        axes: Those to draw on.

    Raises:
        UsageError: there is no such group, or it has no such chart.
    """
    groups = {each.name: each for each in run.manifest.plan.groups}
    chosen = group if group is not None else next(iter(groups), "")
    if chosen not in groups:
        raise UsageError(
            f"{run.manifest.run} has no group {chosen!r}, expected one of {', '.join(groups)}: "
            "name one of these"
        )
    chart = charts.get(f"{kind}-{cast_of(run.manifest).number(groups[chosen])}")
    if not isinstance(chart, Bars | Boxes | Forest | Curves):
        raise UsageError(
            f"{run.manifest.run} has nothing to draw of {kind} in {chosen}, expected what the "
            "report of such a run shows: measure more, or choose another run"
        )
    if axes is None:
        height = PANEL_INCHES if isinstance(chart, Curves) else height_inches(chart)
        size = (WIDER * WIDTH_INCHES, WIDER * height)
        axes = plt.subplots(figsize=size, layout="constrained")[1]
    # Names may hold dollar signs.
    with mpl.rc_context({"text.parse_math": False}):
        if isinstance(chart, Curves):
            draw_panel(axes, chart.panels[0], chart.unit)
            axes.legend(fontsize=8, frameon=False)
        else:
            draw_rows(axes, chart)
    return axes
