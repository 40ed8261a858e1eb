"""What blocks took on this machine, kept in the user's cache."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from harness.files import UnreadableFile, content_of, decoded, whole
from harness.paths import user_cache
from harness.spec.durations import GroupDurations
from harness.spec.machine import Machine


def read_durations(machine: Machine) -> dict[str, GroupDurations]:
    """Kind of group → what its blocks took; empty where nothing is known, or nothing readable."""
    try:
        return decoded(content_of(_path(machine)), dict[str, GroupDurations])
    except (FileNotFoundError, UnreadableFile):
        return {}


def keep_durations(machine: Machine, known: Mapping[str, GroupDurations]) -> None:
    """``known`` is what ``read_durations`` gives from now on, where it can be written."""
    path = _path(machine)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path, durable=False) as file:
            file.write(msgspec.json.encode(known))


def _path(machine: Machine) -> Path:
    return user_cache() / "durations" / f"{machine.fingerprint}.json"
