"""Tables as other tools read them back."""

from __future__ import annotations

import csv
import io
import sys

import msgspec
import pytest

from harness.errors import UsageError
from harness.spec.exports import WindowRow
from harness.store.exports import COLUMNS, csv_text, parquet_bytes


def row(**changes: object) -> WindowRow:
    given = {
        field.name: {str: "x", int: 3, float: 0.1, bool: True}.get(field.type)
        for field in msgspec.structs.fields(WindowRow)
    }
    return WindowRow(**{**given, "parity": "passed", **changes})


def values(rows: list[WindowRow]) -> list[list[object]]:
    return [[getattr(each, name) for each in rows] for name in COLUMNS]


ROWS = [
    row(cell='a "cell", with\neverything', twin=False, git_commit="1a2b3c"),
    row(loss_sum_nats=1.0000000000000002, frequency_mhz=2000.0, examples_per_second=1e-9),
]


def test_csv_is_read_back_as_it_was():
    lines = list(csv.DictReader(io.StringIO(csv_text(values(ROWS)), newline="")))
    assert tuple(lines[0]) == COLUMNS
    assert lines[0]["cell"] == ROWS[0].cell
    assert (lines[0]["twin"], lines[1]["twin"]) == ("false", "true")
    assert (lines[0]["git_commit"], lines[1]["git_commit"]) == ("1a2b3c", "")
    assert float(lines[1]["loss_sum_nats"]) == ROWS[1].loss_sum_nats
    assert int(lines[0]["block"]) == 3


def test_csv_of_nothing_is_its_header():
    assert csv_text(values([])) == ",".join(COLUMNS) + "\n"


def test_columns_with_units_name_them():
    for name in ("wall_seconds", "at_unix_seconds", "loss_sum_nats", "frequency_mhz"):
        assert name in COLUMNS
    assert not [name for name in COLUMNS if name.endswith("_time")]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=len)
def test_parquet_is_read_back_as_it_was_with_its_types(rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(parquet_bytes(values(rows))))
    assert tuple(table.column_names) == COLUMNS
    assert table.to_pylist() == [msgspec.structs.asdict(each) for each in rows]
    types = {field.name: str(field.type) for field in table.schema}
    assert (types["block"], types["twin"], types["cell"]) == ("int64", "bool", "string")
    assert types["frequency_mhz"] == types["wall_seconds"] == "double"


def test_without_pyarrow_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pip install pyarrow") as error:
        parquet_bytes(values(ROWS))
    assert "\n" not in str(error.value)
