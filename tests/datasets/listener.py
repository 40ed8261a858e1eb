"""Progress that remembers."""

from __future__ import annotations


class Listener:
    """Remembers what a long step said."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.advances: list[tuple[str, int, int | None]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        self.advances.append((what, done_bytes, total_bytes))
