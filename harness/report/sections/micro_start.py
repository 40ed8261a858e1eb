"""What a framework costs before it trains: time, disk, and lines of code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.report.figures import Stack
from harness.report.formats import NOTHING, joined
from harness.report.micro_words import Side, cost_table
from harness.report.page import Block, Column, Datum, Details, Figure, Heading, Table
from harness.spec.micro import Micro


def start_blocks(micro: Micro, sides: Sequence[Side]) -> Iterator[Block]:
    """A figure and a table, the lines of code of all models folded away."""
    yield Heading(text="What a framework costs before it trains")
    rows, styles = [], []
    for side in sides:
        start = micro.files[side.framework.framework].start
        if start is None or side.mode not in start.first_step_seconds:
            continue
        built = start.build_seconds.get(side.mode, 0.0)
        lengths = (start.import_seconds, built, start.first_step_seconds[side.mode])
        rows.append((side.name, lengths))
        styles.append(side.style)
    if rows:
        yield Figure(
            name="micro-start",
            caption="From the import to the end of the first step.",
            chart=Stack(
                unit="seconds",
                parts=("import", "build", "first step"),
                rows=tuple(rows),
                styles=tuple(styles),
            ),
        )
    yield cost_table(micro, sides)
    if any(one.model_lines for one in micro.manifest.frameworks):
        yield Details(summary="Lines of code of every model", blocks=(_lines_table(micro),))


def _lines_table(micro: Micro) -> Table:
    written = [one for one in micro.manifest.frameworks if one.model_lines]
    names = dict.fromkeys(name for one in written for name in one.model_lines)
    return Table(
        caption="Lines of code of every model",
        columns=(Column("Model"), *(Column(one.title, number=True) for one in written)),
        rows=tuple(
            (
                Datum(name),
                *(Datum(f"{one.model_lines.get(name, NOTHING)}") for one in written),
            )
            for name in names
        ),
        note=f"Of {joined([one.title for one in written])}, with whatever a model uses of the same "
        "file; blank lines, comments and docstrings are not counted.",
    )
