from __future__ import annotations

import pytest

from harness import paths
from harness.commands import resources
from harness.commands.environments import env_sync
from harness.environments.records import SyncedEnvironment
from harness.execution.planning import Choice
from harness.spec.implementations import read_implementations

KNOWN = read_implementations(paths.IMPLS)
ON_A_GPU = {name for name, one in KNOWN.items() if one.gpu}


@pytest.mark.parametrize(
    ("device", "frameworks"),
    [
        (None, set(KNOWN)),
        ("cpu", set(KNOWN)),
        ("gpu", ON_A_GPU),
        ("gpu:1", ON_A_GPU),
    ],
)
def test_all_that_can_run_on_a_device_get_an_environment_for_it(monkeypatch, device, frameworks):
    asked = []

    def sync(console: object, choices: list[Choice], device: str) -> list[SyncedEnvironment]:
        """Nothing is made: those for GPUs are gigabytes."""
        asked.append(({choice.implementation.name for choice in choices}, device))
        return []

    monkeypatch.setattr(resources, "sync_environments", sync)
    env_sync(device=device)
    assert asked == [(frameworks, device or "cpu")]
    assert set(KNOWN) - {"reference"} == ON_A_GPU
