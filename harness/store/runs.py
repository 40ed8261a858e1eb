"""Runs on disk: written event by event, readable after any kind of end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast, get_args

import msgspec
from filelock import FileLock, Timeout

from harness.errors import RecordError, UsageError
from harness.files import UnreadableFile, content_of, decoded, decoding, whole_folder, write_whole
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


class RunWriter:
    """A run that is being written; one process at a time, each event on disk as it happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = only_writer(folder, folder / ".lock")
        self._path = folder / EVENTS
        try:
            drop_torn_line(self._path)
            # Without a buffer: what a full disk refused is not written later, behind other lines.
            self._file = self._path.open("ab", buffering=0)
            self._size = self._path.stat().st_size
            if self._size == 0:
                self.append_event(Header(at=time.time()))
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def create(cls, folder: Path, manifest: Manifest) -> RunWriter:
        """A new run folder that holds ``manifest``.

        Raises:
            UsageError: the folder already holds a run.
        """
        if folder.exists():
            raise _holds_a_run(folder)
        content = _content_of_manifest(manifest, folder / MANIFEST)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            # A kill in between leaves no folder that is neither a run nor nothing.
            with whole_folder(folder) as part:
                (part / "logs").mkdir()
                write_whole(part / MANIFEST, content)
                cls(part).close()
        except FileExistsError:
            raise _holds_a_run(folder) from None
        return cls(folder)

    def replace_manifest(self, manifest: Manifest) -> None:
        """The run's manifest is ``manifest``; at no time is there half of one.

        Raises:
            RecordError: no reader would take it.
        """
        path = self.folder / MANIFEST
        write_whole(path, _content_of_manifest(manifest, path))

    def append_event(self, event: AnyEvent) -> None:
        """``event`` is in the file, whole, even if this process dies now.

        Raises:
            RecordError: no reader would take it, as one such line would cost the whole run; or the
                file can't be written any more, or is no longer what was written.
        """
        line = msgspec.json.encode(event)
        try:
            with decoding():
                _EVENT.decode(line)
        except UnreadableFile as error:
            raise RecordError(
                f"{event.__struct_config__.tag} can't be recorded ({error}), expected what "
                f"{self._path} can hold: go on with --resume {self.folder.name}"
            ) from None
        left = memoryview(line + b"\n")
        try:
            while left:
                left = left[self._file.write(left) :]
            found = self._path.stat()
        except FileNotFoundError:
            raise self._lost("has gone") from None
        except OSError as error:
            # No half of a line is left for the next one to stand behind.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size)
            raise RecordError(
                f"{self._path} can't be written ({error.strerror}), expected room for what is "
                f"measured: make room, then go on with '--resume {self.folder.name}'"
            ) from None
        self._size += len(line) + 1
        if not os.path.samestat(found, os.fstat(self._file.fileno())):
            raise self._lost("is another file now")
        if found.st_size != self._size:
            raise self._lost(f"has {found.st_size} bytes now, and {self._size} were written")

    def _lost(self, how: str) -> RecordError:
        return RecordError(
            f"{self._path} {how}, expected to be alone with it until the run ends: "
            "leave results/ alone meanwhile, and measure again"
        )

    def close(self) -> None:
        """Everything is on disk and another process may write."""
        try:
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
            self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _content_of_manifest(manifest: Manifest, path: Path) -> bytes:
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    _manifest_in(content, path)
    return content


def _holds_a_run(folder: Path) -> UsageError:
    return UsageError(
        f"{folder} already holds a run, expected a new folder: "
        "choose another --out, or go on with it by --resume"
    )


def only_writer(folder: Path, lock: Path) -> FileLock:
    """``lock``, acquired: this process alone writes to ``folder`` until it is released.

    Raises:
        UsageError: another process does.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"{folder} is being written by another process, expected to be its only writer: "
            "wait for that to end"
        ) from None
    return held


def drop_torn_line(path: Path) -> None:
    """The file ends with a whole line: what a kill left of the last one is cut off.

    Raises:
        RecordError: it is no file, or can't be read.
    """
    if not path.exists():
        return  # a run that begins
    content = _content_of(path)
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        os.truncate(path, whole)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the run in ``folder``.

    Raises:
        RecordError: there is none, it is damaged, or its format is not known.
    """
    path = folder / MANIFEST
    try:
        return _manifest_in(content_of(path), path)
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
    content = _content_of(path)
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


def _content_of(path: Path) -> bytes:
    """What the events' file holds."""
    try:
        return content_of(path)
    except FileNotFoundError:
        raise RecordError(f"{path} can't be read (there is none): {REMEDY}") from None
    except UnreadableFile as error:
        raise RecordError(f"{path} can't be read ({error}): {REMEDY}") from None


def _manifest_in(content: bytes, path: Path) -> Manifest:
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
