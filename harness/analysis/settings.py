"""Which settings workers were given, and whether those were seen to take effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from harness.spec.events import AnyEvent, TrialFinished, TrialStarted


class Setting(NamedTuple):
    """One that can be seen at work from inside a worker."""

    name: str
    effective_in: tuple[str, ...]
    """Cells in all of whose trials it took effect."""
    refused_in: Mapping[str, str]
    """Cell → what was seen in its place, in some trial."""


def observed_settings(events: Iterable[AnyEvent]) -> tuple[Setting, ...]:
    """Every setting that any worker has seen, by name."""
    cells: dict[int, str] = {}
    seen: dict[str, dict[str, str]] = {}
    for event in events:
        if isinstance(event, TrialStarted):
            cells[event.trial] = event.cell
        elif isinstance(event, TrialFinished) and event.trial in cells:
            for name, instead in event.effects.items():
                of_cells = seen.setdefault(name, {})
                cell = cells[event.trial]
                of_cells[cell] = of_cells.get(cell) or instead
    return tuple(
        Setting(
            name,
            tuple(cell for cell, instead in of_cells.items() if not instead),
            {cell: instead for cell, instead in of_cells.items() if instead},
        )
        for name, of_cells in sorted(seen.items())
    )
