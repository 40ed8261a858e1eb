"""A cell's history in words: a table, its change points, and what would confirm them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import msgspec

from harness.analysis.builds import environments_of
from harness.analysis.history import HistoryPoint, Levels
from harness.report.commands import cell_command
from harness.report.formats import count, moment, number
from harness.spec.cells import Cell
from harness.spec.manifest import Manifest


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A run beside a change point, as far as a command for it needs it."""

    cell: Cell
    manifest: Manifest


class ChangePoint(msgspec.Struct, frozen=True, kw_only=True):
    """Two neighbouring runs, from whose second on the cell has another rate."""

    run: str
    """The first one with the new rate."""
    run_before: str
    change: float
    """Normalised rate of the level after ÷ that of the level before, minus 1."""
    runs_before: int
    """Of the level before."""
    runs_after: int
    differs: tuple[str, ...]
    """What else is not the same in the two runs, as clauses."""
    confirm: str
    """The command that would show it interleaved, or measure the cell once more."""


def history_header() -> tuple[str, ...]:
    """The columns of ``history_rows``."""
    return ("run", "date", "version", "commit", "blocks", "examples/s", "normalised", "change")


def history_rows(points: Sequence[HistoryPoint]) -> list[tuple[str, ...]]:
    """One row a run."""
    return [
        (
            point.run,
            moment(point.created),
            point.version,
            point.git_commit or "",
            str(point.blocks),
            number(point.examples_per_second),
            number(point.normalised_examples_per_second),
            _mark(point),
        )
        for point in points
    ]


def change_sentence(change: ChangePoint) -> str:
    """``−8.0 % from RUN on (40 runs, after 60): version 1.0 → 1.1. To confirm: levelfield …``."""
    differs = ", ".join(change.differs) or "nothing that is recorded differs"
    return (
        f"{change.change:+.1%} from {change.run} on ({count(change.runs_after, 'run')}, after "
        f"{change.runs_before}): {differs}. To confirm it: {change.confirm}"
    )


def described_changes(found: Levels, sides: Sequence[tuple[Side, Side]]) -> tuple[ChangePoint, ...]:
    """The change points of ``found``; ``sides``: of each the runs before and after it."""
    return tuple(
        ChangePoint(
            run=after.manifest.run,
            run_before=before.manifest.run,
            change=next_level.examples_per_second / level.examples_per_second - 1,
            runs_before=level.runs,
            runs_after=next_level.runs,
            differs=tuple(_differs(before, after)),
            confirm=_confirmation(before, after),
        )
        for level, next_level, (before, after) in zip(
            found.levels, found.levels[1:], sides, strict=False
        )
    )


def version_of(cell: Cell) -> str:
    """``1.2.3``, or ``1.2.3~VARIANT``."""
    return cell.version + (f"~{cell.variant}" if cell.variant else "")


def _mark(point: HistoryPoint) -> str:
    if point.parity == "lost":
        return "parity failed"
    return "" if point.change is None else f"{point.change:+.1%} from here on"


def _differs(before: Side, after: Side) -> list[str]:
    pairs = [
        ("version", version_of(before.cell), version_of(after.cell)),
        ("commit", before.manifest.git_commit or "none", after.manifest.git_commit or "none"),
        ("levelfield", before.manifest.levelfield, after.manifest.levelfield),
        *_packages(before, after),
    ]
    return [f"{what} {one} → {other}" for what, one, other in pairs if one != other]


def _packages(before: Side, after: Side) -> list[tuple[str, str, str]]:
    """Name and both versions of what is installed beside the framework, and of Python."""
    one, other = (_installed(side) for side in (before, after))
    versions = (before.cell.version, after.cell.version)
    return [
        (name, one[name], other[name])
        for name in sorted(one.keys() & other.keys())
        if (one[name], other[name]) != versions
    ]


def _installed(side: Side) -> dict[str, str]:
    environment = environments_of([side.cell], side.manifest.environments).get(side.cell.id)
    return {**environment.packages, "Python": environment.python} if environment else {}


def _confirmation(before: Side, after: Side) -> str:
    """Two versions and two commits can be measured interleaved; else the cell is measured again."""
    again = cell_command(after.cell, after.manifest)
    if again is None:
        return shlex.join(after.manifest.command)
    # Without the verb, what it runs, and the framework: what is common to both sides.
    common = again[again.index("-r") :]
    commits = [(side.manifest.git_commit or "").rstrip("+") for side in (before, after)]
    frameworks = [_framework(side) for side in (before, after)]
    if frameworks[0] != frameworks[1] and all(frameworks):
        return shlex.join(["levelfield", "compare", *map(str, frameworks), *common])
    if commits[0] != commits[1] and all(commits):
        gate = ["levelfield", "gate", "--base", commits[0], "-f", str(frameworks[1]), *common]
        return f"git switch --detach {commits[1]} && {shlex.join(gate)}"
    return shlex.join(again)


def _framework(side: Side) -> str | None:
    """As ``-f`` takes it."""
    command = cell_command(side.cell, side.manifest)
    return command[command.index("-f") + 1] if command else None
