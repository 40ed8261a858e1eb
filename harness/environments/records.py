"""What is known of an environment: on disk, and to the callers."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from harness.environments.requirements import Wanted
from harness.files import UnreadableFile, content_of, decoded, write_whole
from harness.spec.machine import Environment

Progress = Callable[[str], None]
"""Told one line, without a line end, when something has begun that takes a while."""

FORMAT_VERSION = 1
MARKER = "levelfield.json"
"""Written into the folder last of all: an environment without it was never finished."""
_SET_ASIDE = f"{MARKER}.removing"


def no_progress(line: str) -> None:
    """Nothing happens: for callers that show no progress."""


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """``levelfield.json`` in a complete environment."""

    format_version: int = FORMAT_VERSION
    wanted: Wanted
    key: str
    python: str
    """Full version of the interpreter that it was made with."""
    packages: dict[str, str]
    """Distribution → version, of everything installed."""
    size_bytes: int
    created: str
    """ISO 8601, UTC."""


class SyncedEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that is complete and runs."""

    folder: str
    python: str
    """Path of its interpreter; never resolved, since a resolved one is the base interpreter."""
    record: Environment
    size_bytes: int
    """Of the files in the folder, as it was made; 0 where it is not ours."""
    options: tuple[str, ...] = ()
    """Words that its interpreter is given before a program of ours (see ``given``)."""


class EnvironmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One folder of the collection, for listings."""

    name: str
    """Name of the folder: framework and key."""
    framework: str
    version: str | None
    """Of the framework's own distribution; unknown where the environment is not complete."""
    python: str | None
    device: str | None
    size_bytes: int
    place: str
    state: Literal["complete", "making", "broken"]
    reason: str = ""
    """Why it is broken."""
    current: bool
    """Whether today's requirement files ask for it; others can go."""
    created: str | None


def written_marker(
    folder: Path, wanted: Wanted, python: str, packages: dict[str, str], now: float
) -> Marker:
    """The marker now stands in ``folder``, whole: the environment is complete."""
    marker = Marker(
        wanted=wanted,
        key=wanted.key,
        python=python,
        packages=packages,
        size_bytes=size_bytes(folder),
        created=datetime.datetime.fromtimestamp(now, datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
    )
    content = msgspec.json.format(msgspec.json.encode(marker), indent=2) + b"\n"
    write_whole(folder / MARKER, content)
    return marker


def read_marker(folder: Path) -> Marker | None:
    """The marker in ``folder``; nothing if it is missing, damaged or of another format."""
    try:
        marker = decoded(content_of(folder / MARKER), Marker)
    except (FileNotFoundError, UnreadableFile):
        return None
    belongs = marker.format_version == FORMAT_VERSION and marker.wanted.name == folder.name
    return marker if belongs else None


def set_aside(folder: Path) -> None:
    """``folder`` looks unfinished to everybody, until ``put_back``."""
    if (folder / MARKER).exists():
        (folder / MARKER).replace(folder / _SET_ASIDE)


def put_back(folder: Path) -> None:
    """``folder`` has its marker again."""
    if (folder / _SET_ASIDE).exists():
        (folder / _SET_ASIDE).replace(folder / MARKER)


def size_bytes(folder: Path) -> int:
    """Bytes of all files under ``folder``; hard links count once, symbolic links not at all."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                status = (Path(parent) / name).lstat()
            except OSError:
                continue  # removed meanwhile: listings look at folders that others work in
            place = (status.st_dev, status.st_ino)
            if place not in seen:
                seen.add(place)
                total += status.st_size
    return total
