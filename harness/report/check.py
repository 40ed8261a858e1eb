"""What a check against a stored baseline says, in words."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from harness.analysis.check import CheckedCell, CheckJudgement
from harness.report.formats import NOTHING, count, moment, number
from harness.report.outcomes import (
    ACCURACIES,
    ACCURACY_TONES,
    CONCLUSIONS,
    EXIT_TONES,
    PARITIES,
    PARITY_TONES,
    SPEED_TONES,
    SPEEDS,
    change_of_time,
    points_gained,
)
from harness.report.page import Banner, Column, Datum, Items, Page, Section, Table
from harness.spec.manifest import Manifest


def check_header() -> tuple[str, ...]:
    """The columns of ``check_rows``."""
    return (
        "cell", "speed", "accuracy", "parity", "time of a step", "usual range", "examples/s",
        "expected", "runs",
    )  # fmt: skip


def check_rows(found: CheckJudgement) -> list[tuple[str, ...]]:
    """One row a cell."""
    return [
        (
            cell.series,
            SPEEDS[cell.speed],
            _accuracy(cell),
            PARITIES[cell.parity],
            change_of_time(cell.slowdown),
            usual_range(cell),
            number(cell.examples_per_second),
            number(cell.expected_examples_per_second),
            str(cell.earlier_runs),
        )
        for cell in found.cells
    ]


def check_page(found: CheckJudgement, manifest: Manifest) -> Page:
    """The page of a check: its conclusion, its table, and how it was judged."""
    rows = []
    for cell, (_, *texts) in zip(found.cells, check_rows(found), strict=True):
        # Names that may be wrapped: the table has many columns.
        texts.insert(0, cell.series.replace("/", ", "))
        tones = {
            1: SPEED_TONES[cell.speed],
            2: ACCURACY_TONES[cell.accuracy],
            3: PARITY_TONES[cell.parity],
        }
        rows.append(
            tuple(
                Datum(text, tones.get(place, "plain"), strong=place == 0)
                for place, text in enumerate(texts)
            )
        )
    table = Table(
        caption="This run against earlier ones",
        columns=tuple(
            Column(title.capitalize(), number=place > 3)
            for place, title in enumerate(check_header())
        ),
        rows=tuple(rows),
        note="Time of a step: in terms of the control kernel's, against the mean of earlier runs. "
        "Usual range: where one more run of an unchanged cell lies. Runs: the earlier ones.",
    )
    notes = tuple(warnings(found))
    machine = manifest.machine
    return Page(
        title="Level Field: check",
        subtitle=found.run,
        facts=(
            ("Machine", f"{machine.cpu}, {count(machine.cores, 'core')}"),
            ("Measured", moment(manifest.created)),
            ("Baseline", found.baseline),
        ),
        banners=(
            Banner(
                tone="doubt" if _warns(found) else EXIT_TONES[found.exit_code],
                title=conclusion(found),
                text=f"Exit code {found.exit_code}. Not interleaved: nothing of the baseline ran "
                "beside this run.",
            ),
        ),
        verdicts=(),
        overview=Section(
            id="check",
            title="Check",
            lead="Has a cell become slower or less accurate than its earlier runs? A machine that "
            "drifts from day to day can look like a change: 'levelfield gate' measures both sides "
            "in one job.",
            blocks=(table, *((Items(items=notes),) if notes else ())),
        ),
        sections=(),
        question="Is this run slower, or less accurate, than earlier runs of the same cells?",
        again=shlex.join(
            ("levelfield", "check", found.run, "--baseline", found.baseline)
            + (("--strict",) if found.strict else ())
        ),
    )


def warnings(found: CheckJudgement) -> Iterator[str]:
    """What needs more than a word, cell by cell."""
    for cell in found.cells:
        if cell.speed == "slower":
            yield (
                f"{cell.series} takes {change_of_time(cell.slowdown)} time a step, one more run "
                f"like the {cell.earlier_runs} earlier ones {usual_range(cell)} (not interleaved): "
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
    if not _regressed(found) or found.exit_code in (1, 3):
        return said
    seen = "A regression by the look of it, which only --strict makes an error"
    return seen if found.exit_code == 0 else f"{said}. {seen}"


def _regressed(found: CheckJudgement) -> bool:
    return any(cell.speed == "slower" or cell.accuracy == "lower" for cell in found.cells)


def _warns(found: CheckJudgement) -> bool:
    return found.exit_code == 0 and _regressed(found)


def usual_range(cell: CheckedCell) -> str:
    """``-1.0% to +1.2%``: the time of a step of an unchanged cell."""
    if cell.usual_from is None or cell.usual_to is None:
        return NOTHING
    return f"{cell.usual_from:+.1%} to {cell.usual_to:+.1%}"


def _accuracy(cell: CheckedCell) -> str:
    if cell.accuracy_loss is None:
        return ACCURACIES[cell.accuracy]
    return f"{ACCURACIES[cell.accuracy]} ({points_gained(cell.accuracy_loss)})"
