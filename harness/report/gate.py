"""What a gate says: as a table, and for a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.analysis.gate import GatedCell, GateJudgement
from harness.report.formats import NOTHING, bounds, count, day, percent
from harness.report.outcomes import (
    ACCURACIES,
    CONCLUSIONS,
    PARITIES,
    SPEEDS,
    change_of_time,
    points_gained,
)
from harness.spec.gates import GateTerms
from harness.spec.manifest import Manifest
from harness.texts import markdown_code, markdown_lines, markdown_text

LONGEST_TABLE, LONGEST_NOTES, LONGEST_TERMS = 25_000, 15_000, 3_000
"""Letters of each part: GitHub takes 65,536 in a comment."""
_SAID_IN_ROW = ("failed", "not_compared")
"""Outcomes whose reason stands beside them in the table."""


def gate_header() -> tuple[str, ...]:
    """The columns of ``gate_rows``."""
    return ("cell", "speed", "time of a step", "bounds", "A/A", "accuracy", "parity")


def gate_rows(found: GateJudgement, titles: Mapping[str, str]) -> list[tuple[str, ...]]:
    """One row a cell, then one for each thing that there is no cell of, with the reason."""
    compared = [
        (
            _name(cell, titles),
            _speed_in_words(cell),
            change_of_time(cell.slowdown),
            bounds_in_words(cell),
            NOTHING if cell.noise_floor is None else bounds(cell.noise_floor),
            accuracy_in_words(cell),
            PARITIES[cell.parity],
        )
        for cell in found.cells
    ]
    nothing = (NOTHING,) * (len(gate_header()) - 2)
    return compared + [
        (titles.get(each.what, each.what), f"left out: {each.reason}", *nothing)
        for each in found.left_out
    ]


def conclusion(found: GateJudgement) -> str:
    """One sentence."""
    return f"{CONCLUSIONS[found.exit_code]}, against {base_in_words(found)}"


def base_in_words(gate: GateJudgement | GateTerms) -> str:
    """What was named, which commit that is, and which one was measured in its place."""
    named = gate.tip or gate.commit
    words = f"{gate.base} ({named[:12]})" if named else gate.base
    if gate.commit is None or gate.commit == named:
        return words
    return f"{gate.commit[:12]}, the merge base with {words}"


def markdown(found: GateJudgement, manifest: Manifest) -> str:
    """For a pull request: the conclusion, a table, and how it was measured below a fold."""
    lines = [f"### {markdown_text(conclusion(found))}", ""]
    lines += [_row(gate_header()), _row(("---",) * len(gate_header()))]
    rows = [_row(map(markdown_text, row)) for row in gate_rows(found, manifest.titles)]
    lines += markdown_lines(rows, LONGEST_TABLE)
    notes = [f"- {markdown_text(sentence)}" for sentence in sentences(found)]
    if notes:
        lines += ["", *markdown_lines(notes, LONGEST_NOTES)]
    thresholds = {cell.thresholds for cell in found.cells}
    measured = [
        f"Slower: the lower bound is above {percent(each.slowdown)}. Too noisy: "
        f"{percent(each.blind_to)} more time, or a loss of {each.accuracy_blind_to * 100:g} "
        "points, could have gone unseen. Less accurate: the lower bound of the loss is above "
        f"{each.accuracy * 100:g} points."
        for each in sorted(thresholds, key=repr)
    ]
    lines += [
        "",
        "<details><summary>How this was measured</summary>",
        "",
        "Base and head took turns, window by window, in one job on one machine. *Time of a step* "
        "is the head's against the base's; its bounds are the Holm-adjusted lower and the "
        "one-sided 95 % upper one. *A/A* is the interval of the base's speed against its own "
        "second copy.",
        "",
        *markdown_lines(measured, LONGEST_TERMS),
        "",
        f"{markdown_text(manifest.machine.cpu)}, {count(manifest.machine.cores, 'core')}; run "
        f"{markdown_code(manifest.run)}; again: {markdown_code(' '.join(manifest.command))}",
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)


def sentences(found: GateJudgement) -> list[str]:
    """Which commits were measured, and what needs more than a word, cell by cell."""
    lines = []
    if found.commit:
        head = found.head or "not in a git checkout"
        lines.append(f"Base: {base_in_words(found)}. Head: {head}.")
    for cell in found.cells:
        if cell.detail and cell.speed not in _SAID_IN_ROW:
            lines.append(f"{cell.series}: {SPEEDS[cell.speed]}: {cell.detail}")
        if cell.accuracy == "too_noisy":
            lines.append(f"{cell.series}: accuracy too noisy: {unseen_loss(cell)}")
        if cell.base_trained_at is not None:
            lines.append(
                f"{cell.series}: the base's accuracies are of {day(cell.base_trained_at)}, when a "
                "gate trained the same code with the same packages, data and seeds"
            )
        lines += [f"{cell.series}: {each}" for each in cell.confounders]
    return lines


def _speed_in_words(cell: GatedCell) -> str:
    word = SPEEDS[cell.speed]
    return f"{word}: {cell.detail}" if cell.detail and cell.speed in _SAID_IN_ROW else word


def _name(cell: GatedCell, titles: Mapping[str, str]) -> str:
    recipe, framework, *rest = cell.series.split("/")
    return ", ".join([titles.get(framework, framework), recipe, *rest])


def bounds_in_words(cell: GatedCell) -> str:
    """``[+1.2%, +3.4%], 10 blocks``: of the slowdown."""
    if cell.slowdown_at_least is None or cell.slowdown_at_most is None:
        return NOTHING
    low, high = cell.slowdown_at_least, cell.slowdown_at_most
    return f"[{low:+.1%}, {high:+.1%}], {count(cell.blocks, 'block')}"


def accuracy_in_words(cell: GatedCell) -> str:
    """``lower: -0.62 points, 3 seeds``."""
    word = ACCURACIES[cell.accuracy]
    if cell.accuracy_loss is None or cell.accuracy_loss_at_least is None:
        return word
    return f"{word}: {points_gained(cell.accuracy_loss)}, {count(cell.seeds, 'seed')}"


def unseen_loss(cell: GatedCell) -> str:
    """Why its accuracy is too noisy."""
    return (
        f"a loss of {cell.thresholds.accuracy_blind_to * 100:g} points could have gone "
        f"unseen by {count(cell.seeds, 'seed')}"
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
