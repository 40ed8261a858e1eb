"""From stored events to stored judgements, compared whole."""

from __future__ import annotations

import msgspec
import pytest

from .golden import FIXTURES, SCENARIOS, judgement_of, stored_judgement, stored_run


@pytest.mark.parametrize("name", SCENARIOS)
def test_stored_events_lead_to_the_stored_judgement(name: str) -> None:
    assert judgement_of(stored_run(name)) == stored_judgement(name)


@pytest.mark.parametrize("name", SCENARIOS)
def test_stored_events_are_those_of_their_builder(name: str) -> None:
    """The stored ones are of format version 1, which named no study: it stays readable."""
    stored, built = (msgspec.to_builtins(run) for run in (stored_run(name), SCENARIOS[name]()))
    assert [
        stored["manifest"].pop("format_version"),
        stored["events"][0].pop("format_version"),
    ] == ([1, 1])
    assert [built["manifest"].pop("format_version"), built["events"][0].pop("format_version")] == (
        [2, 2]
    )
    assert stored == built


def test_nothing_else_is_stored() -> None:
    assert {path.name.split(".")[0] for path in FIXTURES.iterdir()} == set(SCENARIOS)
