"""Micro-benchmarks on disk, in a run's folder: readable after any kind of end.

``micro.json`` lies beside ``run.json``; ``micro/`` holds pytest-benchmark's files and no other, so
that its own tools can be given all of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import msgspec

from harness.errors import RecordError
from harness.files import UnreadableFile, content_of, decoded, write_whole
from harness.spec.micro import MICRO_FORMAT_VERSION, Micro, MicroFile, MicroManifest
from harness.store.run_writer import only_writer

FOLDER = "micro"
MANIFEST = "micro.json"
AGAIN = "remove it, and measure again"


class _Version(msgspec.Struct):
    format_version: int


def has_micro(run_folder: Path) -> bool:
    """Whether micro-benchmarks were begun in this run."""
    return os.path.lexists(run_folder / MANIFEST)


def micro_path(run_folder: Path, framework: str) -> Path:
    """Where the framework's file is, once it is whole."""
    return run_folder / FOLDER / f"{framework}.json"


def read_micro(run_folder: Path) -> Micro | None:
    """The micro-benchmarks of the run in ``run_folder``; nothing where none were begun.

    Raises:
        RecordError: a file is damaged, foreign, or of a format that is not known.
    """
    if not has_micro(run_folder):
        return None
    manifest = read_micro_manifest(run_folder)
    paths = {one.framework: micro_path(run_folder, one.framework) for one in manifest.frameworks}
    return Micro(
        manifest=manifest,
        files={
            name: read_micro_file(path, name)
            for name, path in paths.items()
            if os.path.lexists(path)
        },
    )


def read_micro_manifest(run_folder: Path) -> MicroManifest:
    """What ``micro.json`` says.

    Raises:
        RecordError: it is missing or damaged, or its format is not known.
    """
    path = run_folder / MANIFEST
    try:
        content = content_of(path)
        version = decoded(content, _Version).format_version
        if version != MICRO_FORMAT_VERSION:
            raise RecordError(
                f"{path} has format version {version}, expected {MICRO_FORMAT_VERSION}: "
                "read it with the levelfield that wrote it"
            )
        manifest = decoded(content, MicroManifest)
    except FileNotFoundError:
        raise RecordError(
            f"{path} is not there, expected what 'levelfield micro' writes: "
            "name a run that has micro-benchmarks"
        ) from None
    except UnreadableFile as error:
        raise RecordError(f"{path} is no record of ours ({error}): {AGAIN}") from None
    names = [one.framework for one in manifest.frameworks]
    if len(set(names)) < len(names):
        raise RecordError(f"{path} is no record of ours (a framework is there twice): {AGAIN}")
    return manifest


def read_micro_file(path: Path, framework: str) -> MicroFile:
    """The file of ``framework``, as pytest-benchmark wrote it.

    Raises:
        RecordError: it can't be read, is torn, or was not written by our suites.
    """
    try:
        file = decoded(content_of(path), MicroFile)
    except FileNotFoundError:
        raise RecordError(f"{path} is not there, expected a file: measure again") from None
    except UnreadableFile as error:
        raise RecordError(
            f"{path} is torn, or was not written by these micro-benchmarks ({error}), expected "
            "pytest-benchmark's JSON with their extra_info: remove that file, and measure again"
        ) from None
    strangers = {each.extra_info.framework for each in file.benchmarks} - {framework}
    if strangers:
        raise RecordError(
            f"{path} holds benchmarks of {', '.join(sorted(strangers))}, expected those of "
            f"{framework} alone: remove that file, and measure again"
        )
    return file


class MicroWriter:
    """The micro-benchmarks of a run that are being measured; one process at a time."""

    def __init__(self, run_folder: Path, manifest: MicroManifest) -> None:
        self._run = run_folder
        self.folder = run_folder / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = only_writer(self.folder, run_folder / ".micro.lock")
        self.replace_manifest(manifest)

    def replace_manifest(self, manifest: MicroManifest) -> None:
        """``micro.json`` says ``manifest``; at no time is there half of one."""
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        write_whole(self._run / MANIFEST, text + b"\n")
        self.manifest = manifest

    def begin(self, framework: str) -> Path:
        """Where the framework's file may be written; nothing reads it there.

        What stood in the run before is gone.
        """
        micro_path(self._run, framework).unlink(missing_ok=True)
        self.abandon(framework)
        return self._unfinished(framework)

    def accept(self, framework: str) -> MicroFile:
        """The file that was written since ``begin`` is whole, and stands in the run.

        Raises:
            RecordError: it is not.
        """
        file = read_micro_file(self._unfinished(framework), framework)
        self._unfinished(framework).replace(micro_path(self._run, framework))
        return file

    def abandon(self, framework: str) -> None:
        """Nothing is left of a file that was not accepted."""
        self._unfinished(framework).unlink(missing_ok=True)

    def _unfinished(self, framework: str) -> Path:
        return self.folder / f".{framework}.json.part"

    def __enter__(self) -> MicroWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()
