"""Runs with several lives: what each left is held against what the one before it had recorded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.spec.events import (
    AnyEvent,
    BlockFinished,
    Failure,
    RunFinished,
    TrialFinished,
    TrialStarted,
)
from harness.spec.proof_events import Audit, Parity
from harness.store.runs import read_run, run_folders

from .commands import levelfield
from .processes import HEALTHY, QUICK, RUN, House


class Story:
    """Runs with their lives; after each of them what was recorded is still there."""

    def __init__(self, house: House, *, healthy: bool = True) -> None:
        """``healthy``: whether there is a run that nothing happens to."""
        self._house = house
        self._healthy = healthy
        self._known: dict[Path, Sequence[AnyEvent]] = {}

    def next(self) -> tuple[str, ...]:
        """The command that goes on with the latest run, or begins another once it has ended."""
        if not self._known or ended(list(self._known.values())[-1]):
            return RUN
        return self.resume()

    def resume(self) -> tuple[str, ...]:
        return ("run", *QUICK[:2], "--resume", list(self._known)[-1].name)

    def look(self) -> None:
        """Every event is where it was, and all runs can be read."""
        folders = run_folders(self._house.runs)
        assert (self._house.runs / HEALTHY in folders) == self._healthy
        listed = json.loads(levelfield(self._house.work, "list", "runs", "--json").stdout)
        assert {each["run"]: each["problem"] for each in listed} == dict.fromkeys(
            [each.name for each in folders], ""
        )
        now = {each: read_run(each).events for each in folders if each.name != HEALTHY}
        for folder, before in self._known.items():
            assert now[folder][: len(before)] == before
        self._known = now
        for events in now.values():
            once(events)

    def end(self) -> list[Sequence[AnyEvent]]:
        """Its runs have come to their end, and nothing else is left; the events of each."""
        done = self._house.run(*(self.resume() if self._known else RUN))
        assert done.code in (2, 3), done.stderr[-3000:]
        self.look()
        for folder, events in self._known.items():
            assert ended(events)
            report = self._house.work / "reports" / folder.name / "index.html"
            if report.exists() or folder == list(self._known)[-1]:
                assert report.read_text("utf-8").rstrip().endswith("</html>")
        # A run that had already ended needed no environment.
        assert self._house.run("env", "sync", *QUICK[:4]).code == 0
        assert self._house.left_files() == []
        return list(self._known.values())


def ended(events: Sequence[AnyEvent]) -> bool:
    return bool(events) and isinstance(events[-1], RunFinished)


def once(events: Sequence[AnyEvent]) -> None:
    """Nothing was done a second time."""
    done: Counter[object] = Counter()
    for event in events:
        match event:
            case BlockFinished():
                done["block", event.group, event.block, event.long] += 1
            case Parity(trial=None):
                done["proof", event.cell, event.precision] += 1
            case Audit() | TrialStarted() | TrialFinished():
                done[type(event), event.trial] += 1
            case RunFinished():
                done["end"] += 1
    assert [what for what, times in done.items() if times > 1] == []


def whole(events: Sequence[AnyEvent], *, even_failed: bool = False) -> None:
    """All that was planned has been measured; ``even_failed``: or the failure is recorded."""
    if even_failed and any(isinstance(event, Failure) for event in events):
        return
    blocks = {(each.block, each.long) for each in events if isinstance(each, BlockFinished)}
    assert blocks == {(0, True), (1, False), (2, False)}
    audited = {each.trial for each in events if isinstance(each, Audit)}
    finished = [each for each in events if isinstance(each, BlockFinished)]
    # Of a block that a kill cut short there may be more: it was measured anew.
    assert audited >= {trial for each in finished for trial in each.trials}
