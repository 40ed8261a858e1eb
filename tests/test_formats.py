from __future__ import annotations

import json
import re

import jsonschema
import msgspec
import pytest

from harness import paths
from harness.environments.machine import inspect_machine
from harness.formats import SECTIONS, described_schema, field_docstrings, formats_document
from harness.spec.events import Failure, Header, Window
from harness.spec.implementations import read_implementations

DOCUMENT = paths.ROOT / "docs" / "formats.md"


def stored(record: object) -> object:
    return json.loads(msgspec.json.encode(record))


def test_the_document_is_in_step_with_the_records():
    assert DOCUMENT.read_text(encoding="utf-8") == formats_document(), "run tox -e formats"


def test_every_schema_in_it_is_a_schema():
    found = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(found) == sum(len(records) for _, _, records in SECTIONS)
    for text in found:
        jsonschema.Draft202012Validator.check_schema(json.loads(text))


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
