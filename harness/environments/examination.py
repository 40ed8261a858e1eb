"""Looking at an environment's folder: is it complete, does it run, is it still wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from packaging.utils import canonicalize_name

from harness.environments.installation import python_of
from harness.environments.interpreters import installed_packages
from harness.environments.locks import is_locked
from harness.environments.records import MARKER, EnvironmentInfo, Marker, read_marker, size_bytes
from harness.environments.requirements import Wanted, wanted_environment
from harness.errors import LevelfieldError, WorkplaceError
from harness.spec.implementations import Implementation


class Examined(msgspec.Struct, frozen=True):
    """What a look at an environment's folder found: it is complete if there is no reason."""

    marker: Marker | None
    packages: dict[str, str]
    python: str = ""
    reason: str = ""


def examined(folder: Path) -> Examined:
    """Whether the environment in ``folder`` is complete, runs and is as it was made."""
    marker = read_marker(folder)
    if marker is None:
        missing = not (folder / MARKER).exists()
        return Examined(
            None, {}, reason="its making was cut off" if missing else "its record can't be read"
        )
    installed = installed_packages(python_of(folder))
    if installed is None:
        return Examined(marker, {}, reason="its interpreter doesn't run any more")
    for name, version in marker.packages.items():
        found = installed.packages.get(name)
        if found != version:
            reason = f"{name} {version} was installed, now {found or 'none'} is"
            return Examined(marker, installed.packages, installed.python, reason)
    return Examined(marker, installed.packages, installed.python)


def environment_info(folder: Path, known: Mapping[str, Implementation]) -> EnvironmentInfo:
    """What a listing shows of ``folder``; ``known`` implementations decide what is current."""
    try:
        seen = examined(folder)
    except WorkplaceError as error:
        seen = Examined(read_marker(folder), {}, reason=str(error))
    marker = seen.marker
    state: Literal["complete", "making", "broken"] = "broken" if seen.reason else "complete"
    if is_locked(folder):
        state = "making"
    # As the definition has it today: a marker keeps what was right when it was made.
    framework = known.get(marker.wanted.framework) if marker else None
    name = ""
    if marker:
        today = framework.distribution(marker.wanted.device) if framework else None
        name = canonicalize_name(today or marker.wanted.package)
    return EnvironmentInfo(
        name=folder.name,
        framework=folder.name.rsplit("-", 1)[0],
        version=seen.packages.get(name) if state == "complete" else None,
        python=seen.python or (marker.python if marker else None),
        device=marker.wanted.device if marker else None,
        size_bytes=marker.size_bytes if marker and state == "complete" else size_bytes(folder),
        place=str(folder),
        state=state,
        reason=seen.reason if state == "broken" else "",
        current=marker is not None and _is_current(marker.wanted, known),
        created=marker.created if marker else None,
    )


def _is_current(made: Wanted, known: Mapping[str, Implementation]) -> bool:
    """Whether one of ``known`` asks for it today: its maker, or another of equal requirements."""
    written = msgspec.structs.replace(made, settled=())
    for implementation in known.values():
        if made.python not in implementation.python:
            continue
        version = made.asked_version if implementation.name == made.framework else None
        for loader in (False, True):
            try:
                today = wanted_environment(
                    implementation, made.device, made.python, version, loader=loader, settle=False
                )
            except LevelfieldError:
                continue
            if written.serves(today):
                return True
    return False
