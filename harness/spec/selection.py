"""What the command line asks for: the same flags for every measuring command."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from harness.errors import UsageError
from harness.spec.cells import Input, Settings


class FrameworkChoice(msgspec.Struct, frozen=True):
    """``NAME``, ``NAME@1.2.3``, or ``NAME@PACKAGE==1.2.3`` for a package of its environment."""

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
