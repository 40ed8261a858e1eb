"""A run while it is written: event by event, each on disk as it happens."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from types import TracebackType

import msgspec
from filelock import FileLock, Timeout

from harness.errors import RecordError, UsageError
from harness.files import UnreadableFile, decoding, whole_folder, write_whole
from harness.spec.events import AnyEvent, Header
from harness.spec.manifest import Manifest
from harness.store.runs import EVENTS, MANIFEST, content_of_events, manifest_in

_EVENT = msgspec.json.Decoder(AnyEvent)


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
    manifest_in(content, path)
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
    content = content_of_events(path)
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        os.truncate(path, whole)
