"""The fast way to read a run finds what the whole way finds."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis.controlled import controlled_rates
from harness.errors import RecordError
from harness.spec.events import Skip
from harness.spec.proof_events import Parity
from harness.store.run_writer import RunWriter
from harness.store.runs import read_run
from harness.store.speeds import read_speed_events
from tests.analysis.golden import stored_run

CELLS = {cell.id for cell in stored_run("faster").manifest.cells}


@pytest.fixture
def folder(tmp_path):
    run = stored_run("faster")
    with RunWriter.create(tmp_path / "r", run.manifest) as writer:
        for event in run.events[1:]:
            writer.append_event(event)
    return tmp_path / "r"


def test_it_gives_the_same_rates_and_the_whole_proof(folder):
    whole, fast = read_run(folder).events, read_speed_events(folder, CELLS)
    assert controlled_rates(fast) == controlled_rates(whole)
    assert [e for e in fast if isinstance(e, Parity)] == [e for e in whole if isinstance(e, Parity)]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_left_out(folder, cut):
    path = folder / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert controlled_rates(read_speed_events(folder, CELLS)) == controlled_rates(
        read_run(folder).events
    )


def test_a_damaged_line_is_an_error_that_names_the_file(folder):
    path = folder / "trials.jsonl"
    skip = msgspec.json.encode(Skip(at=1.0, what="w", reason="r"))
    path.write_bytes(path.read_bytes() + b'{"event": "nonsense"}\n' + skip + b"\n")
    with pytest.raises(RecordError, match=r"trials\.jsonl, line \d+, is not an event"):
        read_speed_events(folder, CELLS)


def test_an_unknown_version_is_refused_by_name(folder):
    path = folder / "trials.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"format_version":2', b'"format_version":9'))
    with pytest.raises(RecordError, match="format version 9, expected 1"):
        read_speed_events(folder, CELLS)


def test_a_run_that_has_seen_nothing_yet_is_empty(tmp_path):
    (tmp_path / "trials.jsonl").touch()
    assert read_speed_events(tmp_path, ()) == []
