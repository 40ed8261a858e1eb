"""Which datasets there are: ``benchmarks/datasets.toml`` as records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from harness import paths
from harness.errors import UsageError

CATALOGUE = paths.BENCHMARKS / "datasets.toml"


class FileHashes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """SHA-256, in hexadecimal, of the four IDX files, decompressed."""

    train_images: str
    train_labels: str
    test_images: str
    test_labels: str


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dataset: what it must hold, and where it can be had."""

    name: str
    sha256: str
    """As ``Hashes.data``."""
    files: FileHashes
    train_examples: int
    test_examples: int
    system: str | None = None
    """Folder in which a distribution's package puts the files."""
    mirrors: tuple[str, ...] = ()
    """Addresses to which a file's name is joined."""
    embedded: str | None = None
    """Folder beside the catalogue; such a dataset has no other source."""
    fallback: str | None = None
    """The embedded dataset that stands in where this one can't be had."""


def read_catalogue(path: Path = CATALOGUE) -> dict[str, Entry]:
    """Name → entry; ``embedded`` is an absolute path by now.

    Raises:
        msgspec.ValidationError: a field is missing, unknown or of another type.
    """
    tables = msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    for table in tables.values():
        if "embedded" in table:
            table["embedded"] = str(path.parent.resolve() / table["embedded"])
    return {name: msgspec.convert({"name": name, **table}, Entry) for name, table in tables.items()}


def named_entry(catalogue: dict[str, Entry], name: str) -> Entry:
    """The entry with that name.

    Raises:
        UsageError: there is none.
    """
    if name not in catalogue:
        raise UsageError(
            f"No dataset is named {name!r}, expected one of {', '.join(catalogue)}: "
            "choose one with --dataset"
        )
    return catalogue[name]
