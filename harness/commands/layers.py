"""One model's layers in several columns: what stands beside what, and what differs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import zip_longest

import msgspec


class ShownLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer as the framework describes it."""

    name: str
    """Canonical layer name; empty where the layer has no parameters."""
    kind: str
    """The framework's own name of it."""
    output_shape: tuple[int, ...]
    """Of one image, in the framework's own layout."""
    parameters: int


Row = tuple[ShownLayer | None, ...]
"""One layer: what each column has for it. The first column is the definition's."""


def parameter_differences(
    expected: Iterable[ShownLayer], layers: Iterable[ShownLayer]
) -> tuple[str, ...]:
    """In what the parameters of ``layers`` are not those of ``expected``, a clause for each."""
    wanted, got = ([layer for layer in each if layer.parameters] for each in (expected, layers))
    clauses = []
    wanted_total, total = (sum(layer.parameters for layer in each) for each in (wanted, got))
    if total != wanted_total:
        clauses.append(f"{total:,} parameters, expected {wanted_total:,}")
    for number, (one, other) in enumerate(zip_longest(got, wanted), start=1):
        if one is None or other is None or one.parameters != other.parameters:
            clauses.append(
                f"layer {number} of those with parameters is {_named(one)}, expected "
                f"{_named(other)}"
            )
            break
    return tuple(clauses)


def aligned_rows(columns: Sequence[Sequence[ShownLayer]]) -> list[Row]:
    """Every layer of every column, in rows: same names together, the others in order between.

    The first column gives the order of the names. A layer without a name stays behind the named
    one that it follows, in a row with those of other columns that are most like it.
    """
    names = dict.fromkeys(layer.name for layers in columns for layer in layers)
    stretches: list[dict[str, list[ShownLayer]]] = [{} for _ in columns]
    for layers, behind in zip(columns, stretches, strict=True):
        name = ""
        for layer in layers:
            name = layer.name or name
            behind.setdefault(name, []).append(layer)
    rows: list[Row] = []
    for name in sorted(names, key=bool):
        stretch: list[Row] = []
        for column, behind in enumerate(stretches):
            stretch = _merged(stretch, behind.get(name, []), column, len(columns))
        rows += stretch
    return rows


def _merged(rows: list[Row], layers: list[ShownLayer], column: int, columns: int) -> list[Row]:
    """``rows`` with ``layers`` in their ``column``: as many as possible beside what is like them.

    The best of all ways to pair two sequences in order (Needleman and Wunsch, 1970).
    """

    @cache
    def best(row: int, layer: int) -> tuple[int, tuple[Row, ...]]:
        """How alike the pairs are from ``row`` and ``layer`` on, and the rows."""
        if row == len(rows) and layer == len(layers):
            return 0, ()
        ways = []
        if row < len(rows) and layer < len(layers):
            alike = max(_likeness(cell, layers[layer]) for cell in rows[row] if cell)
            score, rest = best(row + 1, layer + 1)
            if alike:
                ways.append((score + alike, (_put(rows[row], column, layers[layer]), *rest)))
        if row < len(rows):
            score, rest = best(row + 1, layer)
            ways.append((score, (rows[row], *rest)))
        if layer < len(layers):
            score, rest = best(row, layer + 1)
            ways.append((score, (_put((None,) * columns, column, layers[layer]), *rest)))
        return max(ways, key=lambda way: way[0])

    return list(best(0, 0)[1])


def _put(row: Row, column: int, layer: ShownLayer) -> Row:
    return (*row[:column], layer, *row[column + 1 :])


def _likeness(one: ShownLayer, other: ShownLayer) -> int:
    """3 for one name or kind, 1 for as many values alone; 0: never in one row."""
    if one.name or other.name:
        return 3 if one.name == other.name else 0
    if math.prod(one.output_shape) != math.prod(other.output_shape):
        return 0
    shorter, longer = sorted((_plain_kind(one), _plain_kind(other)), key=len)
    return 3 if shorter in longer else 1


def _plain_kind(layer: ShownLayer) -> str:
    """``globalavgpool`` of ``GlobalAveragePool2D``: in such things names of one kind differ."""
    letters = re.sub(r"[^a-z]", "", layer.kind.lower().removesuffix("2d"))
    return re.sub("^(relu|sigmoid)$", "activation", letters.replace("average", "avg"))


def _named(layer: ShownLayer | None) -> str:
    return f"{layer.name} with {layer.parameters:,}" if layer else "none"
