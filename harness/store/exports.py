"""Tables for other tools: CSV as text, Parquet through pyarrow, which is an extra."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from harness.errors import UsageError
from harness.spec.exports import WindowRow
from harness.spec.frames import columns
from harness.texts import csv_table

COLUMNS = WindowRow.__struct_fields__

Values = Sequence[Sequence[Any]]
"""Of each column of ``COLUMNS`` its values, one a window; ``None`` where one is missing."""


def csv_text(values: Values) -> str:
    """A header and a line a window, as ``csv_table`` has them."""
    return csv_table(COLUMNS, zip(*values, strict=True))


def parquet_bytes(values: Values) -> bytes:
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
    types = {"int64": pyarrow.int64(), "float64": pyarrow.float64(), "bool": pyarrow.bool_()}
    schema = pyarrow.schema(
        [
            pyarrow.field(
                each.name,
                types.get(each.dtype.lower(), pyarrow.string()),
                nullable=each.optional,
            )
            for each in columns(WindowRow)
        ]
    )
    table = pyarrow.Table.from_pydict(dict(zip(COLUMNS, values, strict=True)), schema)
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()
