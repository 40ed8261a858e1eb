"""Runs on disk, readable after any kind of end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast, get_args

import msgspec

from harness.errors import RecordError, UsageError
from harness.files import UnreadableFile, content_of, decoded, decoding
from harness.spec.events import FORMAT_VERSION, AnyEvent, Header
from harness.spec.manifest import Manifest, Run, Study
from harness.spec.suites import TAX
from harness.store.references import Ledger, contradiction_of

MANIFEST = "run.json"
EVENTS = "trials.jsonl"
REMEDY = "bring it back from a copy, or remove the run's folder"

E = TypeVar("E")
_EVENT = msgspec.json.Decoder(AnyEvent)


class _Version(msgspec.Struct):
    format_version: int


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the run in ``folder``.

    Raises:
        RecordError: there is none, it is damaged, or its format is not known.
    """
    path = folder / MANIFEST
    try:
        return manifest_in(content_of(path), path)
    except FileNotFoundError:
        raise RecordError(
            f"No run in {folder}: expected a folder with {MANIFEST}; "
            "'levelfield list runs' shows those that there are"
        ) from None
    except UnreadableFile as error:
        raise RecordError(f"{path} can't be read ({error}): {REMEDY}") from None


def read_run(folder: Path) -> Run:
    """The run in ``folder``; a torn last line is left out.

    Raises:
        RecordError: the run is missing or damaged, or its format is not known.
    """
    manifest = read_manifest(folder)
    groups = {group.name for group in manifest.plan.groups}
    ledger = Ledger({cell.id for cell in manifest.cells}, groups)
    events = read_events(folder, _EVENT.decode, _EVENT.decode_lines, ledger)
    return Run(manifest=manifest, events=tuple(events))


def read_events(
    folder: Path,
    decode: Callable[[bytes], E],
    decode_lines: Callable[[bytes], list[E]],
    ledger: Ledger,
) -> list[E]:
    """What the run in ``folder`` tells, event by event; a torn last line is left out.

    Raises:
        RecordError: a line is no event, or contradicts those before it; the text says which.
    """
    path = folder / EVENTS
    content = content_of_events(path)
    whole = content.rfind(b"\n") + 1
    try:
        with decoding():
            events = decode_lines(content[:whole])
    except UnreadableFile:
        events = _line_by_line(content[:whole], decode, path)
    with contextlib.suppress(UnreadableFile), decoding():  # torn by a kill
        events += decode_lines(content[whole:])
    for number, event in enumerate(events):
        if isinstance(event, Header):
            check_version(event.format_version, path)
        elif problem := ledger.contradiction(event):
            raise _bad_line(path, _line_numbers(content)[number], problem)
    return events


def _line_by_line(content: bytes, decode: Callable[[bytes], E], path: Path) -> list[E]:
    """As ``decode_lines``, with the number of the first line that is no event."""
    events = []
    lines = content.split(b"\n")
    for number in _line_numbers(content):
        try:
            with decoding():
                events.append(decode(lines[number - 1]))
        except UnreadableFile as error:
            raise _bad_line(path, number, str(error)) from None
    return events


def _line_numbers(content: bytes) -> list[int]:
    """Of the lines that hold something, from 1."""
    return [number for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]


def _bad_line(path: Path, number: int, why: str) -> RecordError:
    return RecordError(f"{path}, line {number}, is not an event of this run ({why}): {REMEDY}")


def content_of_events(path: Path) -> bytes:
    """What the events' file holds."""
    try:
        return content_of(path)
    except FileNotFoundError:
        raise RecordError(f"{path} can't be read (there is none): {REMEDY}") from None
    except UnreadableFile as error:
        raise RecordError(f"{path} can't be read ({error}): {REMEDY}") from None


def manifest_in(content: bytes, path: Path) -> Manifest:
    """The manifest that ``path`` holds.

    Raises:
        RecordError: it is none, or contradicts itself.
    """
    try:
        check_version(decoded(content, _Version).format_version, path)
        manifest = _up_to_date(decoded(content, Manifest))
        problem = contradiction_of(manifest)
    except UnreadableFile as error:
        problem = str(error)
    if problem:
        raise RecordError(f"{path} is not a run's manifest ({problem}): {REMEDY}")
    return manifest


def _up_to_date(manifest: Manifest) -> Manifest:
    """``manifest`` in today's format: version 1 did not name its study."""
    if manifest.format_version == FORMAT_VERSION:
        return manifest
    study: Study = "run"
    if manifest.gate is not None:
        study = "gate"
    elif manifest.plan.suite == TAX:
        study = "tax"
    elif manifest.command[1:] and manifest.command[1] in get_args(Study):
        study = cast(Study, manifest.command[1])
    return msgspec.structs.replace(manifest, format_version=FORMAT_VERSION, study=study)


def check_version(version: int, path: Path) -> None:
    """``version`` can be read.

    Raises:
        RecordError: it can't.
    """
    if not 1 <= version <= FORMAT_VERSION:
        raise RecordError(
            f"{path} has format version {version}, expected 1 to {FORMAT_VERSION}: "
            "read it with the levelfield that wrote it"
        )


def run_folder(runs: Path, name: str) -> Path:
    """The folder of a run: a path, an id under ``runs``, or ``latest``.

    Raises:
        UsageError: there is no latest one.
    """
    if name == "latest":
        folders = run_folders(runs)
        if not folders:
            raise UsageError(f"No run in {runs}, expected one: make one with 'levelfield run'")
        return folders[-1]
    return runs / name if (runs / name).is_dir() else Path(name)


def run_folders(folder: Path) -> list[Path]:
    """All run folders in ``folder``, oldest first: their names begin with the time.

    Those whose manifest can't be read are among them, so that somebody says so.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError:
        return []
    return [folder / name for name in names if os.path.lexists(folder / name / MANIFEST)]
