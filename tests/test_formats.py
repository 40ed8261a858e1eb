from __future__ import annotations

import json
import re
from typing import Literal

import jsonschema
import msgspec
import pytest

from harness import paths
from harness.environments.machine import inspect_machine
from harness.formats import (
    SECTIONS,
    formats_document,
    schema_files,
    schema_name,
    write_formats,
)
from harness.schemas import described_schema, field_docstrings, record_table
from harness.spec.events import Failure, Header, Window
from harness.spec.implementations import read_implementations

DOCUMENT = paths.ROOT / "docs" / "formats.md"
SCHEMAS = DOCUMENT.with_suffix("")


class Row(msgspec.Struct, tag="row", tag_field="event"):
    name: str
    """What it is called, ``a`` | ``b``."""
    word: Literal["good", "bad"]
    sizes: dict[str, tuple[int, ...]]
    end: Failure | None = None


def stored(record: object) -> object:
    return json.loads(msgspec.json.encode(record))


def test_the_page_is_in_step_with_the_records():
    assert DOCUMENT.read_text(encoding="utf-8") == formats_document(), "run tox -e formats"


def test_the_schemas_are_in_step_with_the_records():
    stored_files = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir()}
    assert stored_files == schema_files(), "run tox -e formats"


def test_writing_them_anew_leaves_nothing_else(tmp_path):
    page = tmp_path / "formats.md"
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / schema_name(Failure).lower()).write_text("of a record that has gone")
    write_formats(page)
    assert page.read_text(encoding="utf-8") == formats_document()
    assert {path.name for path in (tmp_path / "formats").iterdir()} == schema_files().keys()


def test_every_schema_is_a_schema():
    files = schema_files()
    assert len(files) == sum(len(records) for _, _, records in SECTIONS)
    for text in files.values():
        jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_each_record_has_one_table_and_each_link_a_record():
    page = formats_document()
    titles = re.findall(r"^### Record (\w+)$", page, re.MULTILINE)
    links = set(re.findall(r"\(#record-(\w+)\)", page))
    assert len(titles) == len(set(titles))
    assert links and links <= {title.lower() for title in titles}


def test_types_are_told_in_words():
    table = record_table(Row)
    assert table.splitlines()[2:] == [
        '| `event` | `"row"` | Tells records apart. |',
        "| `name` | text | What it is called, `a` \\| `b`. |",
        '| `word` | `"bad"` or `"good"` |  |',
        "| `sizes` | map of text to list of integer |  |",
        "| `end` | [Failure](#record-failure) or null | May be left out. |",
    ]


def test_what_is_written_satisfies_its_schema():
    failure = Failure(at=1.0, cell="c", phase="training", reason="r")
    jsonschema.validate(stored(failure), described_schema(Failure))
    jsonschema.validate(stored(Header(at=0.0)), described_schema(Header))
    for implementation in read_implementations(paths.IMPLS).values():
        schema = described_schema(type(implementation))
        jsonschema.validate(stored(implementation), schema)
    machine = inspect_machine()
    jsonschema.validate(stored(machine), described_schema(type(machine)))


def test_what_is_not_an_event_does_not():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"event": "failure", "at": "yesterday"}, described_schema(Failure))


def test_fields_carry_their_docstrings_and_those_of_their_base():
    described = field_docstrings(Window)
    assert described["steps"] == "Timed steps."
    assert "since 1970" in described["at"]
