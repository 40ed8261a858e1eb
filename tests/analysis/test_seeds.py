"""Proofs of cells from many seeds, counted."""

from __future__ import annotations

import msgspec

from harness.analysis.seeds import cells_over_seeds
from harness.spec.proof_events import Deviation, Parity

from .runs import cell, parity


def proof(of_step_1: float | None, name: str = "alpha", **changes: object) -> Parity:
    """One whose loss of the first step takes this share of what it is granted."""
    honest = parity(cell(name))
    first = Deviation(
        check="loss", step=1, value=None if of_step_1 is None else of_step_1 * 1e-6, tolerance=1e-6
    )
    kept = [one for one in honest.deviations if (one.check, one.step) != ("loss", 1)]
    return msgspec.structs.replace(honest, deviations=(*kept, first), **changes)


def test_proved_seeds_are_counted_and_the_worst_is_named() -> None:
    [result] = cells_over_seeds([(3, proof(0.2)), (4, proof(0.9)), (5, proof(0.1))])
    assert (result.seeds, result.proved, result.failed) == (3, 3, ())
    assert (result.worst_seed, round(result.worst_share or 0, 3)) == (4, 0.9)
    assert result.worst is not None and result.worst.check == "loss"


def test_a_seed_that_fails_is_listed_with_its_lines() -> None:
    [result] = cells_over_seeds([(3, proof(0.2)), (4, proof(2.5)), (5, proof(None))])
    assert (result.seeds, result.proved) == (3, 1)
    assert [one.seed for one in result.failed] == [4, 5]
    [line] = result.failed[0].failures
    assert line.startswith("loss at step 1: off by 2.5e-06, 2.5 times")
    assert (result.worst_seed, result.worst_share) == (5, None)


def test_cells_and_precisions_are_told_apart() -> None:
    found = cells_over_seeds(
        [
            (0, proof(0.2)),
            (0, proof(0.1, precision="float64")),
            (1, proof(3.0)),
            (0, proof(0.3, "beta")),
        ]
    )
    assert [(one.cell, one.precision, one.proved, one.seeds) for one in found] == [
        (cell("alpha").id, "float32", 1, 2),
        (cell("alpha").id, "float64", 1, 1),
        (cell("beta").id, "float32", 1, 1),
    ]
