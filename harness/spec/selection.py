"""What the command line asks for: the same flags for every measuring command."""

from __future__ import annotations

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
    threads: int | None = None
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
