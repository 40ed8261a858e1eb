"""Rates of single pieces, held against what the machine was measured to allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.micro import Measure, roofs_of
from harness.report.figures import Roofline, RoofPoint
from harness.report.formats import NOTHING, number, percent
from harness.report.micro_words import PIECES, Side, brief
from harness.report.page import (
    Block,
    Column,
    Datum,
    Details,
    Figure,
    Heading,
    Paragraph,
    Table,
)
from harness.spec.micro import Micro

ON_ROOFLINE = ("train_step", "forward", "matmul")
"""Pieces that stand on it beside the layers."""


def rate_blocks(micro: Micro, sides: Sequence[Side], found: Sequence[Measure]) -> Iterator[Block]:
    """The figure for the largest batch, and the rates of all in a table."""
    roofs = roofs_of(micro.benchmarks)
    largest = max(micro.manifest.conditions.batch_sizes)
    yield Heading(text="Rates, and what the machine allows")
    points = tuple(_points(sides, found, largest))
    if points and roofs.flops_per_second and roofs.bytes_per_second:
        titles = {one.framework: one.title for one in micro.manifest.frameworks}
        peak, moved = roofs.flops_per_second / 1e9, roofs.bytes_per_second / 1e9
        yield Figure(
            name="micro-roofline",
            caption=f"Roofline, batch {largest}: what each piece reached, over how many operations "
            "it makes of each byte that it has to move. Left of the ridge memory sets the limit, "
            "right of it arithmetic. What lies above the slope has its data in a cache.",
            chart=Roofline(
                x_unit="FLOP per byte",
                y_unit="GFLOP/s",
                peak=peak,
                slope=moved,
                peak_text=f"matrix product {number(peak)} GFLOP/s",
                slope_text=f"copy {number(moved)} GB/s",
                points=points,
            ),
        )
        yield Paragraph(
            text=f"The roofs are measured here, not looked up: the matrix product is that of "
            f"{titles[roofs.flops_by]}, the copy that of {titles[roofs.bytes_by]}, each the best "
            "of this run."
        )
    tables = [_rate_table(side, found) for side in sides]
    shown = tuple(table for table in tables if table.rows)
    if shown:
        yield Details(summary="Rates of every piece", blocks=shown)


def _points(sides: Sequence[Side], found: Sequence[Measure], size: int) -> Iterator[RoofPoint]:
    first = {side.framework.framework: side for side in reversed(sides)}
    for each in found:
        wanted = each.piece in ON_ROOFLINE or (each.piece, each.direction) == ("layer", "forward")
        if not wanted or each.flops_per_second is None or each.intensity is None:
            continue
        if each.batch_size not in (None, size):
            continue
        named = [s for s in sides if (s.framework.framework, s.mode) == (each.framework, each.mode)]
        side = named[0] if named else first[each.framework]
        yield RoofPoint(
            label=side.name,
            piece=each.layer or PIECES[each.piece].lower(),
            style=side.style,
            x=each.intensity,
            y=each.flops_per_second / 1e9,
        )


def _rate_table(side: Side, found: Sequence[Measure]) -> Table:
    own = [
        each
        for each in found
        if (each.framework, each.mode) == (side.framework.framework, side.mode)
        and (each.flops_per_second or each.bytes_per_second)
    ]
    return Table(
        caption=f"Rates of {side.name}",
        columns=(
            Column("Piece"),
            Column("Batch", number=True),
            Column("Time", number=True),
            Column("Examples/s", number=True),
            Column("GFLOP/s", number=True),
            Column("of the product's", number=True),
            Column("GB/s", number=True),
            Column("of the copy's", number=True),
            Column("FLOP/byte", number=True),
            Column("of its roof", number=True),
        ),
        rows=tuple(
            (
                Datum(_piece_in_words(each)),
                Datum(NOTHING if each.batch_size is None else f"{each.batch_size:,}"),
                Datum(brief(each.seconds)),
                Datum(number(each.examples_per_second)),
                Datum(_giga(each.flops_per_second)),
                Datum(_share(each.share_of_peak)),
                Datum(_giga(each.bytes_per_second)),
                Datum(_share(each.share_of_bandwidth)),
                Datum(number(each.intensity)),
                Datum(_share(each.share_of_roof)),
            )
            for each in own
        ),
        note="Operations: products of convolutions and dense layers alone. Bytes: each input read "
        "once, each output written once. Its roof: the lesser of the product's rate and of the "
        "copy's rate times FLOP/byte.",
    )


def _piece_in_words(measure: Measure) -> str:
    if measure.piece == "layer":
        return f"{measure.layer}, {measure.direction.replace('_', ' and ')}"
    return PIECES.get(measure.piece, measure.piece.replace("_", " "))


def _giga(value: float | None) -> str:
    return NOTHING if value is None else number(value / 1e9)


def _share(value: float | None) -> str:
    return NOTHING if value is None else percent(value)
