"""Who can be ranked, and the order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from harness.analysis.comparability import Obstacle
from harness.analysis.judgement import LeftOut, Reason, Verdict

Tiers = tuple[tuple[str, ...], ...]


def left_out(
    cells: Sequence[str],
    measured: Collection[str],
    obstacles: Mapping[str, Obstacle],
    failures: Mapping[str, str],
) -> tuple[LeftOut, ...]:
    """Cells that are in no ranking: not proven to compute the same, or never measured.

    ``failures``: cell → why it failed last.
    """
    out = []
    for cell in cells:
        if cell in obstacles:
            reason, detail = obstacles[cell]
            out.append(LeftOut(cell=cell, reason=reason, detail=detail))
        elif cell not in measured:
            out.append(LeftOut(cell=cell, reason="not_measured", detail=failures.get(cell, "")))
    return tuple(out)


def ranking(cells: Sequence[str], verdicts: Sequence[Verdict]) -> tuple[Tiers, Reason | None]:
    """Tiers of ``cells``, fastest first; or none, and what is in the way.

    Every pair has to be conclusive. A new tier begins only where every cell before is faster than
    every cell after. Equivalence is not transitive (a may equal b and b equal c while a is faster
    than c), so a tier may hold a pair that differs; their verdict says so.
    """
    among = [each for each in verdicts if each.cell in cells and each.against in cells]
    for each in among:
        if each.verdict in (None, "inconclusive"):
            return (), each.reason
    if len(cells) < 2:
        return (), None
    faster = {(each.cell, each.against) for each in among if each.verdict == "faster"}
    faster |= {(each.against, each.cell) for each in among if each.verdict == "slower"}
    order = sorted(cells, key=lambda cell: -sum(winner == cell for winner, _ in faster))
    tiers: list[tuple[str, ...]] = []
    start = 0
    for end in range(1, len(order) + 1):
        if all((one, other) in faster for one in order[:end] for other in order[end:]):
            tiers.append(tuple(order[start:end]))
            start = end
    return tuple(tiers), None
