"""Micro-benchmarks in words: contenders, pieces, and the tables that page and terminal share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.analysis.micro import Measure, measures
from harness.analysis.micro_check import MicroComparison
from harness.report.cast import Cast
from harness.report.figures import Style
from harness.report.formats import (
    NOTHING,
    Amount,
    count,
    mebibytes,
    number,
    percent,
    seconds,
    times,
)
from harness.report.page import Column, Datum, Table
from harness.spec.micro import Micro, MicroFramework

PIECES = {
    "train_step": "Whole training step",
    "forward": "Forward pass",
    "forward_backward": "Forward and backward",
    "optimizer_step": "Optimizer step",
    "staging": "Staging a batch",
    "evaluation": "Evaluation",
    "latency": "Latency of one image",
    "gather": "Gathering a batch",
    "matmul": "Matrix product",
    "copy": "Copy",
}
"""In the order of the tables; others that there are follow under their own names."""


class Side(NamedTuple):
    """A framework in one of its modes; in none (empty) where its mode does not matter."""

    framework: MicroFramework
    mode: str
    style: Style

    @property
    def name(self) -> str:
        """``TITLE (mode)``."""
        return f"{self.framework.title} ({self.mode})" if self.mode else self.framework.title

    def datum(self, text: str | None = None) -> Datum:
        """A table cell that names it in its colour."""
        return Datum(
            self.name if text is None else text,
            colour=self.style.colour,
            variant=self.style.variant,
            strong=True,
        )


def sides_of(micro: Micro, cast: Cast | None = None) -> tuple[Side, ...]:
    """Each measured framework in each of its modes, in the colours of ``cast``."""
    known = {
        (member.cell.framework, member.cell.mode): member.style
        for member in (cast.members.values() if cast else ())
        if member.cell is not None
    }
    colours = dict.fromkeys(framework for framework, _ in known)
    colours.update(dict.fromkeys(one.framework for one in micro.manifest.frameworks))
    order = list(colours)
    sides = []
    for one in micro.manifest.frameworks:
        if one.framework not in micro.files:
            continue
        used = {style.variant for (name, _), style in known.items() if name == one.framework}
        free = (variant for variant in range(len(used) + len(one.modes)) if variant not in used)
        for mode in one.modes:
            style = known.get((one.framework, mode)) or Style(
                order.index(one.framework), next(free)
            )
            sides.append(Side(one, mode, style))
    return tuple(sides)


def modes_of(sides: Iterable[Side]) -> tuple[str, ...]:
    """All modes, each once."""
    return tuple(dict.fromkeys(side.mode for side in sides))


def piece_tables(micro: Micro, sides: Sequence[Side]) -> tuple[Table, ...]:
    """Median times, a table a mode, and one of what has none."""
    found = measures(micro)
    tables = [
        _piece_table(found, [side for side in sides if side.mode == mode], mode)
        for mode in modes_of(sides)
    ]
    once = {side.framework.framework: side._replace(mode="") for side in reversed(sides)}
    machine = _piece_table(found, list(reversed(once.values())), "")
    return tuple(table for table in (*tables, machine) if table.rows)


def _piece_table(found: Sequence[Measure], sides: Sequence[Side], mode: str) -> Table:
    own = {
        (each.piece, each.batch_size, each.framework): each
        for each in found
        if each.mode == mode and each.piece != "layer"
    }
    kinds = [*PIECES, *(piece for piece, *_ in own if piece not in PIECES)]
    keys = sorted(
        {(piece, size) for piece, size, _ in own},
        key=lambda key: (kinds.index(key[0]), key[1] or 0),
    )
    return Table(
        caption=f"Median time of one call, {mode}" if mode else "Median time of one call, any mode",
        columns=(
            Column("Piece"),
            Column("Batch", number=True),
            *(Column(side.framework.title, number=True) for side in sides),
        ),
        rows=tuple(
            (
                Datum(PIECES.get(piece, piece.replace("_", " "))),
                Datum(NOTHING if size is None else f"{size:,}"),
                *(_time(own.get((piece, size, side.framework.framework))) for side in sides),
            )
            for piece, size in keys
        ),
    )


def _time(measure: Measure | None) -> Datum:
    return Datum(NOTHING) if measure is None else Datum(brief(measure.seconds))


def brief(value: float) -> str:
    """``13.2 µs``, ``1.32 ms``: what a single call takes."""
    if 0 < abs(value) < 0.9995e-3:
        return Amount(f"{number(value * 1e6)} µs", value, "s")
    if value < 0:
        return Amount(f"{number(value * 1000)} ms", value, "s")
    return seconds(value)


def cost_table(micro: Micro, sides: Sequence[Side]) -> Table:
    """What each framework takes before it has trained a step."""
    rows, model = [], micro.manifest.conditions.model
    for side in sides:
        own = side.framework
        start = micro.files[own.framework].start
        built = start.build_seconds.get(side.mode) if start else None
        stepped = start.first_step_seconds.get(side.mode) if start else None
        parts = (start.import_seconds if start else None, built, stepped)
        lines = own.model_lines.get(model)
        rows.append(
            (
                side.datum(f"{own.title} {own.version} ({side.mode})"),
                *(Datum(seconds(part)) for part in parts),
                Datum(
                    NOTHING
                    if None in parts
                    else seconds(sum(part for part in parts if part is not None)),
                    strong=True,
                ),
                Datum(mebibytes(own.environment_bytes) if own.environment_bytes else NOTHING),
                Datum(NOTHING if lines is None else count(lines, "line")),
            )
        )
    return Table(
        caption="Before it trains",
        columns=(
            Column("Contender"),
            Column("Import", number=True),
            Column("Build", number=True),
            Column("First step", number=True),
            Column("Together", number=True),
            Column("Environment on disk", number=True),
            Column(f"Code of {model}", number=True),
        ),
        rows=tuple(rows),
        note="Seen once, in one process, with file caches as they were. A framework's modes were "
        "built one after the other: the first pays for what a process does only once. The first "
        "step holds the compilation. Code: lines of the model as it stands in models.py, without "
        "blank lines, comments and docstrings.",
    )


def micro_rows(micro: Micro) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, header and rows of what a terminal shows."""
    sides = sides_of(micro)
    tables = [*piece_tables(micro, sides)]
    if sides:
        tables.append(cost_table(micro, sides))
    return [
        (
            table.caption,
            [column.title for column in table.columns],
            [[datum.text for datum in row] for row in table.rows],
        )
        for table in tables
    ]


def comparison_rows(comparison: MicroComparison) -> list[list[str]]:
    """A row a framework: by how much its medians have changed."""
    ratios: dict[str, list[float]] = {}
    for key, (before, now) in comparison.times.items():
        if before > 0:
            ratios.setdefault(key.split("/")[0], []).append(now / before)
    return [
        [name, f"{len(own)}", *(times(each) for each in (min(own), _middle(own), max(own)))]
        for name, own in ratios.items()
    ]


def breach_rows(comparison: MicroComparison) -> list[list[str]]:
    """A row a broken limit."""
    return [
        [
            each.benchmark,
            each.field,
            brief(each.before_seconds),
            brief(each.now_seconds),
            _growth(each.before_seconds, each.now_seconds, each.limit),
            each.limit,
        ]
        for each in comparison.breaches
    ]


def _growth(before: float, now: float, limit: str) -> str:
    if limit.endswith("%") and before > 0:
        return percent(now / before - 1)
    return brief(now - before)


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
