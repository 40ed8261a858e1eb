"""Which datasets there are: ``benchmarks/datasets.toml`` as records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from harness import paths
from harness.errors import UsageError

CATALOGUE = paths.BENCHMARKS / "datasets.toml"

_SOURCES = {"files", "system", "mirrors", "embedded"}
"""What a split has from its whole."""


class FileHashes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """SHA-256, in hexadecimal, of the four IDX files, decompressed."""

    train_images: str
    train_labels: str
    test_images: str
    test_labels: str


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dataset: what it must hold, and where it can be had."""

    name: str
    sha256: str | None = None
    """As ``Hashes.data``. Without it the digest is what the verified files lead to."""
    files: FileHashes
    train_examples: int
    test_examples: int
    split_of: str | None = None
    """The dataset whose files these are, where this one is a split of its training images: the
    first ``train_examples`` to train on, the last ``test_examples`` to test on."""
    system: str | None = None
    """Folder in which a distribution's package puts the files."""
    mirrors: tuple[str, ...] = ()
    """Addresses to which a file's name is joined."""
    embedded: str | None = None
    """Folder beside the catalogue; such a dataset has no other source."""
    fallback: str | None = None
    """The embedded dataset that stands in where this one can't be had."""
    resized: dict[str, str] = {}
    """Height and width, as in ``224x224`` → ``Hashes.data`` of the dataset with such images."""


def read_catalogue(path: Path = CATALOGUE) -> dict[str, Entry]:
    """Name → entry; ``embedded`` is an absolute path by now, and a split has its whole's sources.

    Raises:
        msgspec.ValidationError: a field is missing, unknown or of another type.
    """
    tables = msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    entries = {}
    for name, table in tables.items():
        whole = tables.get(table.get("split_of", ""), {})
        fields = {key: whole[key] for key in _SOURCES & whole.keys()} | table
        if "embedded" in fields:
            fields["embedded"] = str(path.parent.resolve() / fields["embedded"])
        entries[name] = msgspec.convert({"name": name, **fields}, Entry)
    return entries


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
