from __future__ import annotations

import pytest

from harness.commands import preparation
from harness.commands.environments import env_sync
from harness.environments.records import SyncedEnvironment
from harness.execution.planning import Choice


@pytest.mark.parametrize(
    ("device", "frameworks"),
    [
        (None, {"gluon", "keras", "pytorch", "reference"}),
        ("cpu", {"gluon", "keras", "pytorch", "reference"}),
        ("gpu", {"gluon", "keras", "pytorch"}),
        ("gpu:1", {"gluon", "keras", "pytorch"}),
    ],
)
def test_all_that_can_run_on_a_device_get_an_environment_for_it(monkeypatch, device, frameworks):
    asked = []

    def sync(console: object, choices: list[Choice], device: str) -> list[SyncedEnvironment]:
        """Nothing is made: those for GPUs are gigabytes."""
        asked.append(({choice.implementation.name for choice in choices}, device))
        return []

    monkeypatch.setattr(preparation, "sync_environments", sync)
    env_sync(device=device)
    assert asked == [(frameworks, device or "cpu")]
