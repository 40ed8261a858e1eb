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
    assert msgspec.to_builtins(stored_run(name)) == msgspec.to_builtins(SCENARIOS[name]())


def test_nothing_else_is_stored() -> None:
    assert {path.name.split(".")[0] for path in FIXTURES.iterdir()} == set(SCENARIOS)
