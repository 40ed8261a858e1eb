"""Runs on disk: written event by event, readable after any kind of end."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType

import msgspec
from filelock import FileLock, Timeout

from harness.errors import RecordError, UsageError
from harness.spec.events import FORMAT_VERSION, AnyEvent, Header, Manifest, Run

MANIFEST = "run.json"
EVENTS = "trials.jsonl"


class _Version(msgspec.Struct):
    format_version: int


class RunWriter:
    """A run that is being written; one process at a time, each event on disk as it happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = only_writer(folder, folder / ".lock")
        self._path = folder / EVENTS
        drop_torn_line(self._path)
        self._file = self._path.open("ab", buffering=0)
        self._size = self._path.stat().st_size
        if self._size == 0:
            self.append_event(Header(at=time.time()))

    @classmethod
    def create(cls, folder: Path, manifest: Manifest) -> RunWriter:
        """A new run folder that holds ``manifest``.

        Raises:
            UsageError: the folder already holds a run.
        """
        if (folder / MANIFEST).exists():
            raise UsageError(
                f"{folder} already holds a run, expected a new folder: "
                "choose another --out, or go on with it by --resume"
            )
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        writer = cls(folder)
        writer.replace_manifest(manifest)
        return writer

    def replace_manifest(self, manifest: Manifest) -> None:
        """The run's manifest is ``manifest``; at no time is there half of one."""
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        part = self.folder / (MANIFEST + ".part")
        part.write_bytes(text + b"\n")
        part.replace(self.folder / MANIFEST)

    def append_event(self, event: AnyEvent) -> None:
        """``event`` is in the file, whole, even if this process dies now.

        Raises:
            RecordError: the file can't be written any more, or is no longer what was written.
        """
        line = msgspec.json.encode(event) + b"\n"
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            found = self._path.stat()
        except FileNotFoundError:
            raise self._lost("has gone") from None
        except OSError as error:
            # No half of a line is left for the next one to stand behind.
            os.ftruncate(self._file.fileno(), self._size)
            raise RecordError(
                f"{self._path} can't be written ({error.strerror}), expected room for what is "
                f"measured: make room, then go on with '--resume {self.folder.name}'"
            ) from None
        self._size += len(line)
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
    """The file ends with a whole line: what a kill left of the last one is cut off."""
    if not path.exists():
        return
    content = path.read_bytes()
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
        content = path.read_bytes()
    except OSError:
        raise RecordError(
            f"No run in {folder}: expected a folder with {MANIFEST}; "
            "'levelfield list runs' shows those that there are"
        ) from None
    try:
        check_version(msgspec.json.decode(content, type=_Version).format_version, path)
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is not a run's manifest ({error}): is it damaged?") from None


def read_run(folder: Path) -> Run:
    """The run in ``folder``; a torn last line is left out.

    Raises:
        RecordError: the run is missing or damaged, or its format is not known.
    """
    manifest = read_manifest(folder)
    path = folder / EVENTS
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordError(
            f"{path} can't be read ({error.strerror}), expected what was measured: "
            "put it back, or measure again"
        ) from None
    events: list[AnyEvent] = []
    decoder = msgspec.json.Decoder(AnyEvent)
    last = len(lines) - 1
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            event = decoder.decode(line)
        except msgspec.DecodeError as error:
            if number == last:
                break
            raise RecordError(
                f"{path}, line {number + 1}, is not an event ({error}): is it damaged?"
            ) from None
        if isinstance(event, Header):
            check_version(event.format_version, path)
        events.append(event)
    return Run(manifest=manifest, events=tuple(events))


def check_version(version: int, path: Path) -> None:
    """``version`` can be read.

    Raises:
        RecordError: it can't.
    """
    if version != FORMAT_VERSION:
        raise RecordError(
            f"{path} has format version {version}, expected {FORMAT_VERSION}: "
            "read it with the levelfield that wrote it"
        )


def run_folders(folder: Path) -> list[Path]:
    """All run folders in ``folder``, oldest first: their names begin with the time."""
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
