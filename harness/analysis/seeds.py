"""What the proofs of one cell from many seeds say together."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from harness.analysis.deviations import share_of_granted
from harness.analysis.parity import parity_verdict
from harness.spec.proof_events import Deviation, Parity


class SeedFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A seed from which a cell was not proved."""

    seed: int
    failures: tuple[str, ...]
    """One clause for each check that failed."""


class CellOverSeeds(msgspec.Struct, frozen=True, kw_only=True):
    """How a cell fared against the oracle."""

    cell: str
    precision: str
    """What it computed in."""
    seeds: int
    """From which it was held."""
    proved: int
    """From how many of them it kept to all that is granted."""
    worst: Deviation | None
    """Of all seeds and checks, the one that takes most of what it is granted."""
    worst_seed: int | None
    worst_share: float | None
    """So much it takes of that; nothing where it is not a finite number."""
    failed: tuple[SeedFailure, ...]


def cells_over_seeds(proofs: Iterable[tuple[int, Parity]]) -> tuple[CellOverSeeds, ...]:
    """One result for each cell and precision of ``proofs``, seed and what was seen from it."""
    groups: dict[tuple[str, str], list[tuple[int, Parity]]] = {}
    for seed, parity in proofs:
        groups.setdefault((parity.cell, parity.precision), []).append((seed, parity))
    return tuple(_cell(cell, precision, group) for (cell, precision), group in groups.items())


def _cell(cell: str, precision: str, proofs: list[tuple[int, Parity]]) -> CellOverSeeds:
    verdicts = [(seed, parity_verdict(parity)) for seed, parity in proofs]
    failed = [(seed, verdict.failures) for seed, verdict in verdicts if not verdict.passed]
    every = [(seed, deviation) for seed, parity in proofs for deviation in parity.deviations]
    seed, worst = max(every, key=lambda one: share_of_granted(one[1]), default=(None, None))
    share = math.inf if worst is None else share_of_granted(worst)
    return CellOverSeeds(
        cell=cell,
        precision=precision,
        seeds=len(proofs),
        proved=len(proofs) - len(failed),
        worst=worst,
        worst_seed=seed,
        worst_share=share if math.isfinite(share) else None,
        failed=tuple(SeedFailure(seed=seed, failures=lines) for seed, lines in failed),
    )
