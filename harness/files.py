"""Files of our own, read as if anybody could have written them, and written whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import psutil

MOST_BYTES = 2**30
"""More than any record of ours takes: what is larger is not read into memory."""
LONGEST_CLAUSE = 200
"""Characters that one line gives to what was wrong with a file."""

R = TypeVar("R")


class UnreadableFile(Exception):
    """A file is there and does not hold what it should; the text is a clause that says why."""


def content_of(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """What the regular file ``path`` holds.

    Raises:
        FileNotFoundError: there is none.
        UnreadableFile: it is something else than a file, too large, or can't be read.
    """
    try:
        # Else a pipe in the place of a file is waited for, for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
                raise UnreadableFile(f"it is {kind}, expected a file")
            if status.st_size > most_bytes:
                raise UnreadableFile(
                    f"it has {status.st_size} bytes, expected {most_bytes} or less"
                )
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(most_bytes)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise UnreadableFile(error.strerror or clause(error)) from None
    except ValueError as error:  # a name with a NUL
        raise UnreadableFile(clause(error)) from None


def decoded(content: bytes, kind: type[R]) -> R:
    """The record of type ``kind`` that ``content`` is the JSON of.

    Raises:
        UnreadableFile: it is none.
    """
    with decoding():
        return msgspec.json.decode(content, type=kind)


def table_of(path: Path) -> dict[str, Any]:
    """The TOML table in the file ``path``.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableFile: it can't be read, or holds no TOML.
    """
    content = content_of(path)
    with decoding():
        table: dict[str, Any] = msgspec.toml.decode(content)
        return table


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Whatever foreign bytes do to a decoder within becomes ``UnreadableFile``."""
    try:
        yield
    except RecursionError:
        raise UnreadableFile("it is nested too deeply") from None
    except ValueError as error:  # msgspec's own, bytes that are no UTF-8, integers without end
        raise UnreadableFile(clause(error)) from None


def clause(error: BaseException | str) -> str:
    """What ``error`` says, in one printable line of bounded length."""
    text = " ".join(str(error).split())
    text = "".join(each if each.isprintable() else "?" for each in text)
    return text if len(text) <= LONGEST_CLAUSE else f"{text[: LONGEST_CLAUSE - 1]}…"


def write_whole(path: Path, content: bytes) -> None:
    """``path`` holds ``content``; at no time does it hold half of it.

    Raises:
        OSError: it can't be written; what stood there before still does.
    """
    with whole(path) as file:
        file.write(content)


@contextlib.contextmanager
def whole(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file to fill, which then stands at ``path``.

    ``durable``: it is on the disk before it has that name, so that not even a machine that loses
    power leaves half of it. What leads elsewhere (a symbolic link) stays, and a pipe or a device
    is written to as it is.

    Raises:
        OSError: it can't be written; what stood there before still does.
    """
    if path.is_symlink():
        path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    _remove_parts(path.parent, path.name)
    part = _part_of(path)
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which then stands at ``path``.

    What killed ones left of theirs beside it goes: a folder's name is seldom asked for twice.

    Raises:
        FileExistsError: something has come to stand at ``path``.
        OSError: it can't be written.
    """
    _remove_parts(path.parent)
    part = _part_of(path)
    try:
        part.mkdir()
        yield part
        try:
            part.rename(path)
        except OSError as error:
            raise FileExistsError(path) if path.exists() else error from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _remove_parts(folder: Path, name: str | None = None) -> None:
    """Nothing is left in ``folder`` of killed writers of what is called ``name``, or anything."""
    for part in folder.glob(f".{'*' if name is None else glob.escape(name)}.*.part"):
        writer = part.name.split(".")[-2]
        with contextlib.suppress(OSError, OverflowError):
            if writer.isdigit() and not psutil.pid_exists(int(writer)):
                if part.is_dir():
                    shutil.rmtree(part)
                else:
                    part.unlink()
