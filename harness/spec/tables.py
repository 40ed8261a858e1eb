"""TOML tables into records: strictly, since a field that is misspelt would silently do nothing.

The records themselves ignore fields that they don't know: some of them are stored with a run, and a
run that a later version wrote is to stay readable.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.errors import UsageError

R = TypeVar("R")
_MOST_BYTES = 2**20
"""Of a file that people write by hand."""


def written_bytes(path: Path) -> bytes:
    """What the file holds that a user wrote.

    Raises:
        FileNotFoundError: there is none.
        UsageError: it is no regular file (a pipe would be waited for without end), far too large,
            or can't be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is no regular file, expected one: put the text there itself")
        if status.st_size > _MOST_BYTES:
            raise UsageError(
                f"{path} has {status.st_size} bytes, expected {_MOST_BYTES} at most: is it the "
                "right file?"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}): mend that") from None


def written_table(path: Path) -> dict[str, Any]:
    """The TOML table in the file that a user wrote.

    Raises:
        FileNotFoundError: there is none.
        UsageError: it can't be read, or holds no TOML.
    """
    try:
        return msgspec.toml.decode(written_bytes(path), type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} can't be read ({error}): mend it") from None


def section(table: Mapping[str, Any], *names: str) -> Any:
    """What stands at ``[names…]``; an empty table where nothing does."""
    found: Any = table
    for name in names:
        found = found.get(name, {}) if isinstance(found, Mapping) else None
    return found


def record(table: Mapping[str, Any], kind: type[R]) -> R:
    """The record that ``table`` describes.

    Raises:
        msgspec.ValidationError: a field is missing, unknown or of another type.
    """
    found = msgspec.convert(table, kind)
    unknown = _unknown(table, msgspec.to_builtins(found), "$")
    if unknown:
        raise msgspec.ValidationError(f"Object contains unknown field {unknown}")
    return found


def _unknown(given: Any, kept: Any, place: str) -> str:
    """The first field of ``given`` that is not in ``kept``, and where; empty if there is none."""
    if isinstance(given, Mapping) and isinstance(kept, Mapping):
        for name, value in given.items():
            if name not in kept:
                return f"`{name}` - at `{place}`"
            if found := _unknown(value, kept[name], f"{place}.{name}"):
                return found
    elif isinstance(given, Sequence) and not isinstance(given, str):
        for index, value in enumerate(given):
            if found := _unknown(value, kept[index], f"{place}[{index}]"):
                return found
    return ""
