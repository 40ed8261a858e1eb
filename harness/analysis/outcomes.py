"""What a gate, or a check against a stored baseline, can say of a cell, and of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

Speed = Literal["held", "slower", "too_noisy", "failed", "not_compared"]
Accuracy = Literal["held", "lower", "too_noisy", "not_judged"]
Proof = Literal["proved", "lost", "not_run"]
"""What became of a cell against the oracle: ``lost`` where it failed any proof, check or audit."""


class Outcome(Protocol):
    """One cell that has been judged."""

    @property
    def speed(self) -> Speed:
        """Against the base, or earlier runs."""

    @property
    def accuracy(self) -> Accuracy:
        """Likewise."""

    @property
    def parity(self) -> Proof:
        """Against the oracle."""


def exit_code(cells: Sequence[Outcome], *, strict: bool = True, incomplete: bool = False) -> int:
    """0 all held; 1 slower or less accurate; 2 failed, or nothing to compare; 3 parity lost; 4 too
    noisy.

    ``strict``: a regression counts; else it is a warning, and the cell one that was compared.
    ``incomplete``: something was not compared that had to be, which is a failure.
    """
    if any(cell.parity == "lost" for cell in cells):
        return 3
    if strict and any(cell.speed == "slower" or cell.accuracy == "lower" for cell in cells):
        return 1
    if incomplete or any(cell.speed == "failed" for cell in cells):
        return 2
    if any("too_noisy" in (cell.speed, cell.accuracy) for cell in cells):
        return 4
    return 0 if any(cell.speed in ("held", "slower") for cell in cells) else 2
