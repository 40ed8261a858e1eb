"""What the parts of a run say of each other: a run that contradicts itself is damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable

from harness.files import clause
from harness.spec.events import (
    BlockFinished,
    Evaluation,
    Failure,
    TrialFinished,
    TrialStarted,
    Window,
)
from harness.spec.manifest import Manifest
from harness.spec.proof_events import Parity
from harness.spec.speed_events import (
    SpeedBlockFinished,
    SpeedTrialFinished,
    SpeedTrialStarted,
    SpeedWindow,
)

# Made once: in a history of a thousand runs each is asked a million times.
_WINDOWS = (Window, SpeedWindow)
_STARTED = (TrialStarted, SpeedTrialStarted)
_FINISHED = (TrialFinished, SpeedTrialFinished)
_ENDS = (BlockFinished, SpeedBlockFinished)
_OF_CELLS = (Parity, Failure)


def contradiction_of(manifest: Manifest) -> str | None:
    """Where the manifest names what it does not hold, or one thing twice; nothing if it doesn't."""
    cells = [cell.id for cell in manifest.cells]
    groups = [group.name for group in manifest.plan.groups]
    for kind, names in (("cell", cells), ("group", groups)):
        if twice := _twice(names):
            return f"{kind} {twice} is there twice"
    known = set(cells)
    for group in manifest.plan.groups:
        place = f"group {clause(group.name)}"
        if not group.cells:
            return f"{place} has no cells"
        if twice := _twice(group.cells):
            return f"{place} names cell {twice} twice"
        for cell in group.cells:
            if cell not in known:
                return f"{place} names cell {clause(cell)}, which the run does not have"
    return None


class Ledger:
    """What events have told so far, so that each can be held against those before it."""

    def __init__(self, cells: Collection[str], groups: Collection[str] | None = None) -> None:
        """``groups``: none, where they don't matter."""
        self._cells = cells
        self._groups = groups
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._in_blocks: set[int] = set()
        self._seen: set[Hashable] = set()

    def contradiction(self, event: object) -> str | None:
        """Why ``event`` can't follow those before it; nothing if it can."""
        if isinstance(event, _WINDOWS):
            return self._of_trial(event.trial) or self._once("round", event.trial, event.round)
        if isinstance(event, Evaluation):
            return self._of_trial(event.trial) or self._once("epoch", event.trial, event.epoch)
        if isinstance(event, _STARTED):
            begun_twice = self._begun_twice(event.trial)
            return begun_twice or self._of_cell(event.cell) or self._of_group(event)
        if isinstance(event, _FINISHED):
            problem = self._of_trial(event.trial)
            self._ended.add(event.trial)
            return problem
        if isinstance(event, _ENDS):
            problem = self._of_group(event) or self._of_block(event.trials)
            return problem or self._once("block", event.group, (event.block, event.long))
        if isinstance(event, _OF_CELLS):
            return self._of_cell(event.cell)
        return None

    def _of_trial(self, trial: int) -> str | None:
        if trial not in self._begun:
            return f"it is of trial {trial}, which has not begun"
        if trial in self._ended:
            return f"it is of trial {trial}, which has ended before"
        return None

    def _begun_twice(self, trial: int) -> str | None:
        if trial in self._begun:
            return f"trial {trial} begins for the second time"
        self._begun.add(trial)
        return None

    def _of_cell(self, cell: str) -> str | None:
        if cell in self._cells:
            return None
        return f"it is of cell {clause(cell)}, which the run does not have"

    def _of_group(self, event: object) -> str | None:
        group = getattr(event, "group", None)
        if self._groups is None or group is None or group in self._groups:
            return None
        return f"it is of group {clause(group)}, which the run does not have"

    def _of_block(self, trials: Iterable[int]) -> str | None:
        for trial in trials:
            if trial not in self._begun:
                return f"it names trial {trial}, which has not begun"
            if trial in self._in_blocks:
                return f"it names trial {trial}, which another block has"
            self._in_blocks.add(trial)
        return None

    def _once(self, what: str, whose: Hashable, which: object) -> str | None:
        key = (what, whose, which)
        if key in self._seen:
            return f"{what} {which} of {clause(str(whose))} is there twice"
        self._seen.add(key)
        return None


def _twice(names: Iterable[str]) -> str | None:
    """The first of ``names`` that is among them more than once."""
    return next((clause(name) for name, count in Counter(names).items() if count > 1), None)
