"""What forbids comparing cells: no proof of parity, or different data, weights, order or device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from harness.analysis.judgement import Reason
from harness.analysis.parity import ParityResult, differing_hashes
from harness.analysis.trials import Block, Trial
from harness.spec.cells import Cell
from harness.spec.proof_events import Hashes


class Obstacle(NamedTuple):
    """Why a cell, or a pair of cells, is not compared."""

    reason: Reason
    detail: str


class Obstacles(NamedTuple):
    """All of a run's."""

    of_cells: dict[str, Obstacle]
    of_pairs: dict[frozenset[str], Obstacle]

    def between(self, cell: str, against: str) -> Obstacle | None:
        """What forbids comparing the two, if anything does."""
        return (
            self.of_cells.get(cell)
            or self.of_cells.get(against)
            or self.of_pairs.get(frozenset((cell, against)))
        )


def obstacles(
    cells: Sequence[Cell], parity: Sequence[ParityResult], blocks: Sequence[Block]
) -> Obstacles:
    """What forbids comparing ``cells``, from parity and from all finished blocks, short and long.

    Hashes are compared within a block, whose trials share seed and number of steps; two trials of
    one cell that differ there (the reference and its second copy) forbid the cell.
    """
    of_cells: dict[str, Obstacle] = {}
    of_pairs: dict[frozenset[str], Obstacle] = {}
    for cell in cells:
        found = _parity_obstacle(cell.id, parity) or _device_obstacle(cell, blocks)
        if found:
            of_cells[cell.id] = found
    for names, obstacle in _hash_obstacles(blocks):
        if len(names) == 1:
            of_cells.setdefault(next(iter(names)), obstacle)
        else:
            of_pairs.setdefault(names, obstacle)
    return Obstacles(of_cells, of_pairs)


def _parity_obstacle(cell: str, parity: Sequence[ParityResult]) -> Obstacle | None:
    """Every time that the cell was held counts: one failure is one too many."""
    own = [result for result in parity if result.cell == cell]
    if all(result.audit for result in own):
        return Obstacle("parity_missing", cell)
    for result in own:
        if not result.passed:
            reason: Reason = "audit_failed" if result.audit else "parity_failed"
            return Obstacle(reason, f"{cell}: {result.failures[0]}")
    return None


def _device_obstacle(cell: Cell, blocks: Sequence[Block]) -> Obstacle | None:
    for block in blocks:
        for trial in block.trials:
            if trial.started.cell != cell.id:
                continue
            # Runs of earlier versions don't say where results were.
            for device in (trial.finished.device, trial.finished.result_device or cell.device):
                # A cell on ``gpu`` may report ``gpu:0``.
                if device.split(":")[0] != cell.device.split(":")[0]:
                    return Obstacle("device_differs", f"{cell.id}: on {device}")
    return None


def _hash_obstacles(blocks: Sequence[Block]) -> Iterator[tuple[frozenset[str], Obstacle]]:
    for block in blocks:
        for one, other in combinations(block.trials, 2):
            differences = differing_hashes(_hashes(one, other), _hashes(other, one))
            if differences:
                cells = (one.started.cell, other.started.cell)
                named = "; ".join(
                    f"{name} {of_one} of {cells[0]}, {of_other} of {cells[1]}"
                    for name, (of_one, of_other) in differences.items()
                )
                detail = f"block {block.block}: {named}"
                yield frozenset(cells), Obstacle("hashes_differ", detail)


def _hashes(trial: Trial, other: Trial) -> Hashes:
    """The trial's, without that of the order where the two took different numbers of steps."""
    hashes = trial.finished.hashes
    if trial.finished.steps == other.finished.steps:
        return hashes
    return Hashes(data=hashes.data, weights=hashes.weights, order="")
