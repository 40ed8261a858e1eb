"""What a check against a stored baseline says, in words."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.check import CheckedCell, CheckJudgement
from harness.report.formats import NOTHING, number
from harness.report.outcomes import (
    ACCURACIES,
    CONCLUSIONS,
    PARITIES,
    SPEEDS,
    change_of_time,
    points_gained,
)


def check_header() -> tuple[str, ...]:
    """The columns of ``check_rows``."""
    return (
        "cell", "speed", "time of a step", "usual range", "examples/s", "expected", "earlier runs",
        "accuracy", "parity",
    )  # fmt: skip


def check_rows(found: CheckJudgement) -> list[tuple[str, ...]]:
    """One row a cell."""
    return [
        (
            cell.series,
            SPEEDS[cell.speed],
            change_of_time(cell.slowdown),
            _usual(cell),
            number(cell.examples_per_second),
            number(cell.expected_examples_per_second),
            str(cell.earlier_runs),
            _accuracy(cell),
            PARITIES[cell.parity],
        )
        for cell in found.cells
    ]


def warnings(found: CheckJudgement) -> Iterator[str]:
    """What needs more than a word, cell by cell."""
    for cell in found.cells:
        if cell.speed == "slower":
            yield (
                f"{cell.series} takes {change_of_time(cell.slowdown)} time a step, one more run "
                f"like the {cell.earlier_runs} earlier ones {_usual(cell)} (not interleaved): "
                "confirm it with 'levelfield gate --base REF'"
            )
        elif cell.detail:
            yield f"{cell.series}: {SPEEDS[cell.speed]}: {cell.detail}"
        if cell.accuracy == "lower" and cell.accuracy_loss is not None:
            yield (
                f"{cell.series}: test accuracy is {100 * cell.accuracy_loss:.2f} points below the "
                f"mean of {cell.accuracy_runs} earlier runs with the same seeds"
            )
        if cell.accuracy == "too_noisy":
            points = cell.thresholds.accuracy_blind_to * 100
            yield (
                f"{cell.series}: accuracy too noisy: a loss of {points:g} points would be within "
                "the usual range"
            )


def conclusion(found: CheckJudgement) -> str:
    """One sentence."""
    said = CONCLUSIONS[found.exit_code]
    regressed = any(cell.speed == "slower" or cell.accuracy == "lower" for cell in found.cells)
    if not regressed or found.exit_code in (1, 3):
        return said
    seen = "A regression by the look of it, which only --strict makes an error"
    return seen if found.exit_code == 0 else f"{said}. {seen}"


def _usual(cell: CheckedCell) -> str:
    if cell.usual_from is None or cell.usual_to is None:
        return NOTHING
    return f"{cell.usual_from:+.1%} to {cell.usual_to:+.1%}"


def _accuracy(cell: CheckedCell) -> str:
    if cell.accuracy_loss is None:
        return ACCURACIES[cell.accuracy]
    return f"{ACCURACIES[cell.accuracy]} ({points_gained(cell.accuracy_loss)})"
