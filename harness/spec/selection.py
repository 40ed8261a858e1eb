"""What the command line asks for: the same flags for every measuring command."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from harness.errors import UsageError
from harness.spec.cells import HANDWRITTEN, OF_BASE, Input, Settings

_LABEL = re.compile(rf"(?!{OF_BASE}|{HANDWRITTEN})[A-Za-z0-9][A-Za-z0-9_.]{{0,39}}")
"""Part of a cell's id; no other variant begins like it."""


class FrameworkChoice(msgspec.Struct, frozen=True):
    """``NAME``, ``NAME@1.2.3``, ``NAME@PACKAGE==1.2.3`` for a package of its environment, or
    ``NAME@LABEL`` for an interpreter that was given under that label."""

    name: str
    version: str | None = None
    """What follows the ``@``."""

    @classmethod
    def parse(cls, text: str) -> FrameworkChoice:
        """The choice that ``NAME[@VERSION]`` stands for.

        Raises:
            UsageError: one of the two is empty.
        """
        name, at, version = (part.strip() for part in text.partition("@"))
        if not name or (at and not version):
            raise UsageError(
                f"-f is {text!r}, expected NAME or NAME@VERSION: say the "
                + ("version behind the @, or leave it out" if name else "framework's name")
            )
        return cls(name, version or None)


class GivenPython(msgspec.Struct, frozen=True):
    """``NAME=PATH`` or ``NAME@LABEL=PATH``: an interpreter that is there already."""

    name: str
    """Of the implementation that it is for."""
    label: str
    """Sets apart several for one implementation; empty: that of ``NAME`` itself."""
    path: str

    @property
    def choice(self) -> FrameworkChoice:
        """What ``-f`` calls it."""
        return FrameworkChoice(self.name, self.label or None)

    @property
    def word(self) -> str:
        """``NAME`` or ``NAME@LABEL``."""
        return f"{self.name}@{self.label}" if self.label else self.name

    @classmethod
    def parse(cls, word: str, path: str, where: str) -> GivenPython:
        """The interpreter ``path`` for ``NAME[@LABEL]``, as it was said in ``where``.

        Raises:
            UsageError: a part is empty, or the label is none.
        """
        name, at, label = (part.strip() for part in word.partition("@"))
        if not name or not path.strip():
            raise UsageError(
                f"{where}, expected NAME=PATH or NAME@LABEL=PATH: say which interpreter is whose"
            )
        if at and not _LABEL.fullmatch(label):
            raise UsageError(
                f"{where} has the label {label!r}, expected up to 40 letters, digits, dots and "
                f"underscores that don't begin with {OF_BASE} or {HANDWRITTEN}: choose another"
            )
        return cls(name, label, path.strip())


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The selection flags; what is not given is the suite's to say."""

    frameworks: tuple[FrameworkChoice, ...] = ()
    recipes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ("resident",)
    loader_workers: int = 0
    """Of cells that a loader feeds: processes or threads beside the main one."""
    device: str | None = None
    threads: tuple[int, ...] = ()
    """Numbers of CPU threads, each of them measured; none: all CPUs."""
    batch_sizes: tuple[int, ...] = ()
    """Each of them makes a recipe of its own; none: the batch that recipe or suite has."""
    settings: tuple[Settings, ...] = ("matched",)
    dataset: str | None = None
    data_dir: str | None = None
    seed: int = 0
    epochs: int | None = None
    blocks: int | None = None
    budget_seconds: float | None = None
    timeout_seconds: float | None = None
    aa: bool | None = None
    reference: str | None = None
    fresh: bool = False
    """Whether proofs of earlier runs are not taken over."""
    impl_dirs: tuple[str, ...] = ()
    pythons: tuple[GivenPython, ...] = ()
    """Those of the command line; others may stand in a file."""


def numbers_in(flag: str, texts: Iterable[str]) -> tuple[int, ...]:
    """The whole numbers that were given, as ``2`` or as ``1,2,4``, each once and in that order.

    Raises:
        UsageError: a part is none, or is below 1.
    """
    found: list[int] = []
    for text in texts:
        parts = [part.strip() for part in text.split(",")]
        if not all(re.fullmatch(r"0*[1-9][0-9]{0,14}", part) for part in parts):
            raise UsageError(
                f"{flag} is {text!r}, expected a whole number from 1 on, or several as in 1,2,4: "
                "give such"
            )
        found += map(int, parts)
    return tuple(dict.fromkeys(found))
