"""Tables for other tools: CSV as text, Parquet through pyarrow, which is an extra."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.spec.exports import WindowRow
from harness.texts import csv_table

COLUMNS = WindowRow.__struct_fields__


def csv_text(rows: Iterable[WindowRow]) -> str:
    """A header and a line a row, as ``csv_table`` has them."""
    return csv_table(COLUMNS, map(msgspec.structs.astuple, rows))


def parquet_bytes(rows: Iterable[WindowRow]) -> bytes:
    """The same table as a Parquet file, each column with its type, missing values as nulls.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed, expected levelfield with its extra "
            "'parquet': python -m pip install pyarrow, or choose --format csv"
        ) from None
    types = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
    }
    schema = pyarrow.schema(
        [
            pyarrow.field(field.name, types[kind], nullable=optional)
            for field in msgspec.structs.fields(WindowRow)
            for kind, optional in [_kind(field.type)]
        ]
    )
    table = pyarrow.Table.from_pylist([msgspec.structs.asdict(row) for row in rows], schema)
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _kind(annotation: Any) -> tuple[type, bool]:
    """The plain type of a column, and whether it may be missing."""
    info = msgspec.inspect.type_info(annotation)
    parts = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    [kind] = [part for part in parts if not isinstance(part, msgspec.inspect.NoneType)]
    plain: dict[type, type] = {
        msgspec.inspect.IntType: int,
        msgspec.inspect.FloatType: float,
        msgspec.inspect.BoolType: bool,
    }
    return plain.get(type(kind), str), len(parts) > 1
