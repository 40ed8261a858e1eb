"""What all checks of an audit are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from harness.spec.cells import Cell
from harness.spec.proof_events import AuditCheck, CheckName


class Conditions(NamedTuple):
    """What an audit has to know of a cell and its machine."""

    cell: Cell
    train_examples: int
    test_examples: int
    initial_weights: str
    """Digest, as ``Hashes.weights``."""
    flops_per_example: int
    """Of one training step, as ``impls.costs`` counts them."""
    peak_flops: float | None
    """Of the machine's CPUs, in float32, per second; nothing on a GPU."""
    agreement: float | None = None
    """How far the mean loss of a window may be from the other contenders' median where the oracle
    did not go, as a share of it; nothing: it is not held."""
    dropout: bool = False
    """Whether training is random, so that no loss can be foretold."""


def check_of(
    name: CheckName,
    seen: float | None,
    lowest: float,
    highest: float,
    window: int | None = None,
) -> AuditCheck:
    """That ``seen`` lies from ``lowest`` to ``highest``; what is not finite lies nowhere.

    ``window``: its round, where the check is of one.
    """
    finite = seen is not None and math.isfinite(seen)
    return AuditCheck(
        name=name, window=window, seen=seen if finite else None, lowest=lowest, highest=highest
    )


def worst_of(checks: Sequence[AuditCheck]) -> Iterator[AuditCheck]:
    """The check that is closest to its limits, or furthest beyond; nothing of nothing."""

    def excess(check: AuditCheck) -> float:
        if check.seen is None:
            return math.inf
        beyond = max(check.lowest - check.seen, check.seen - check.highest)
        width = check.highest - check.lowest
        return beyond / width if width > 0 else (math.inf if beyond > 0 else -1.0)

    if checks:
        yield max(checks, key=excess)


def quotient(value: float | None, by: float) -> float | None:
    """``value`` ÷ ``by``; nothing where that is no number."""
    return value / by if value is not None and by else None


def total(values: Iterable[float]) -> float:
    """Their sum, rounded once."""
    return math.fsum(values)
