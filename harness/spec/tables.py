"""TOML tables into records: strictly, since a field that is misspelt would silently do nothing.

The records themselves ignore fields that they don't know: some of them are stored with a run, and a
run that a later version wrote is to stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.errors import UsageError
from harness.files import UnreadableFile, content_of, decoding

R = TypeVar("R")
_MOST_BYTES = 2**20
"""Of a file that people write by hand."""


def written_bytes(path: Path) -> bytes:
    """What the file holds that a user wrote.

    Raises:
        FileNotFoundError: there is none.
        UsageError: it can't be read, or is no file that people write by hand.
    """
    try:
        return content_of(path, _MOST_BYTES)
    except UnreadableFile as error:
        raise UsageError(f"{path} can't be read ({error}): mend it") from None


def written_table(path: Path) -> dict[str, Any]:
    """The TOML table in the file that a user wrote.

    Raises:
        FileNotFoundError: there is none.
        UsageError: it can't be read, or holds no TOML.
    """
    content = written_bytes(path)
    try:
        with decoding():
            table: dict[str, Any] = msgspec.toml.decode(content)
            return table
    except UnreadableFile as error:
        raise UsageError(f"{path} can't be read ({error}): mend it") from None


def section(table: Any, *names: str) -> Any:
    """What stands in ``table`` under ``names``, one below the other: ``{}`` where nothing does."""
    for name in names:
        table = table.get(name, {}) if isinstance(table, Mapping) else None
    return table


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
