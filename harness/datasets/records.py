"""What a search for a dataset answers, and how it says what it is doing."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from harness.spec.manifest import DatasetUsed

Source = Literal["data-dir", "cache", "system", "download", "embedded"]
"""Where a dataset can come from, in the order in which the sources are asked."""

State = Literal["valid", "missing", "damaged", "unchecked"]
"""``unchecked``: only a download would tell."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset that was found, verified and prepared."""

    name: str
    source: Source
    place: str
    """The folder or mirror that it came from."""
    folder: str
    """Holds the arrays as ``harness.datasets.arrays.load_arrays`` reads them."""
    sha256: str
    """As ``Hashes.data``."""
    train_examples: int
    test_examples: int
    fallback_for: str | None = None
    """The dataset that was asked for, where this one stands in for it."""

    def used(self) -> DatasetUsed:
        """The same, as a run's manifest holds it: without the folder."""
        return DatasetUsed(
            name=self.name,
            source=self.source,
            place=self.place,
            sha256=self.sha256,
            train_examples=self.train_examples,
            test_examples=self.test_examples,
            fallback_for=self.fallback_for,
        )


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One source of a dataset, as it is now."""

    source: Source
    dataset: str
    """What it would give: the dataset that was asked for, or the one that stands in for it."""
    place: str
    state: State
    detail: str = ""
    """Why it is not valid; one line."""


class DatasetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset and all its sources, in the order in which they are asked."""

    name: str
    sha256: str | None
    """As ``Hashes.data``; nothing where only its files tell, and none have been prepared yet."""
    train_examples: int
    test_examples: int
    sources: tuple[SourceInfo, ...]


class Progress(Protocol):
    """Hears what a long step does. Library code never prints."""

    def note(self, text: str) -> None:
        """Something happened that a user wants to know; one line."""

    def advance(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        """``what`` has come so far; the total is nothing where the server does not tell it."""


class Quiet:
    """Hears and says nothing."""

    def note(self, text: str) -> None:
        """Nothing happens."""

    def advance(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        """Nothing happens."""
