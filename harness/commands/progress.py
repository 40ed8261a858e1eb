"""What a user is told while a run goes on: one line for each thing that is worth one.

On a terminal a table below the lines says how things stand. It is drawn anew only between windows,
by the process that waits for the workers: nothing here runs while a window is timed.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict

from harness.analysis.audit import audit_verdict
from harness.analysis.dropout import dropout_verdict
from harness.analysis.loaders import loader_verdict
from harness.analysis.parity import parity_verdict
from harness.commands.board import Standings
from harness.console import Console
from harness.report.cast import cast_of
from harness.report.formats import day
from harness.spec.cells import Cell
from harness.spec.events import (
    AnyEvent,
    BlockFinished,
    Evaluation,
    Failure,
    Skip,
    TrialFinished,
    TrialStarted,
    Window,
)
from harness.spec.manifest import Group, Manifest
from harness.spec.proof_events import Audit, DropoutCheck, LoaderCheck, Parity, ProofEvent


class RunProgress:
    """Turns events into lines, and block durations into time left."""

    def __init__(self, console: Console, manifest: Manifest) -> None:
        self._console = console
        self._cells = {cell.id: cell for cell in manifest.cells}
        self._plan = manifest.plan
        self._looks = sorted(manifest.plan.looks)
        self._groups = [group.name for group in manifest.plan.groups]
        self._long_groups = [
            group.name
            for group in manifest.plan.groups
            if group.long_trials
            and all(self._cells[each].input == "resident" for each in group.cells[:1])
        ]
        self._trials: dict[int, TrialStarted] = {}
        self._rates: dict[int, list[float]] = {}
        self._accuracies: dict[str, float] = {}
        self._block_began = 0.0
        self._durations: list[float] = []
        self._long_durations: defaultdict[str, list[float]] = defaultdict(list)
        self._cast = cast_of(manifest)
        self._standings = Standings(self._cast)
        self._group: Group | None = None
        self._number = 0
        self._refused: set[str] = set()
        self._title = ""

    def verifying(self, cell: Cell) -> None:
        """The user knows that ``cell`` is being held against the oracle."""
        self._console.status(f"verifying {cell.id}")

    def block(self, group: Group, number: int, *, long: bool) -> None:
        """The user knows that a block has begun."""
        self._block_began = time.monotonic()
        self._rates.clear()
        what = f"block {number} of {self._most}"
        if long:
            seeds = len(self._plan.seeds)
            which = f", seed {number + 1} of {seeds}" if seeds > 1 else ""
            what = f"training the whole recipe{which}"
        self._console.status(f"{group.name}: {what}")
        self._standings.begin(group)
        self._group = None if long else group
        self._number = number
        self._title = f"{self._cast.title(group)}: {what}"

    def blocks_fixed(self, blocks: int) -> None:
        """The user knows how many blocks the budget allows."""
        self._looks = [blocks]
        self._console.say(f"The budget allows {blocks} blocks.")

    def see(self, event: AnyEvent) -> None:
        """The user knows what ``event`` means for them."""
        match event:
            case Audit():
                self._audit(event)
            case LoaderCheck():
                for failure in loader_verdict(event).failures:
                    self._console.warn(f"parity failed: {event.cell}: {failure}")
            case DropoutCheck():
                self._dropout(event)
            case Parity():
                self._parity(event)
            case Failure():
                where = f"trial {event.trial}" if event.trial is not None else "verification"
                self._console.warn(f"{event.cell}, {where}, {event.phase}: {event.reason}")
            case Skip():
                self._console.warn(f"left out: {event.what}: {event.reason}")
            case TrialStarted():
                self._trials[event.trial] = event
                if event.trained_at is not None:
                    self._console.say(
                        f"{self._cells[event.cell].contender}, seed {event.seed}: trained on "
                        f"{day(event.trained_at)} with the same code, packages and data"
                    )
                self._standings.start(event)
            case TrialFinished():
                self._settings(event)
            case Window():
                rate = event.examples / event.wall_seconds
                self._rates.setdefault(event.trial, []).append(rate)
                self._standings.see(event)
                self._show(event)
            case Evaluation():
                cell = self._trials[event.trial].cell
                accuracy = event.correct / event.examples
                self._console.say(
                    f"{self._cells[cell].recipe.label}, epoch {event.epoch}: "
                    f"{self._cells[cell].contender} test accuracy {accuracy:.4f}"
                )
            case BlockFinished():
                self._block_finished(event)

    def _show(self, window: Window) -> None:
        """A terminal shows how things stand after ``window``."""
        if self._group is None:
            return
        rounds = self._plan.rounds if self._group.rounds is None else self._group.rounds
        left = self._time_left(self._group.name)
        title = f"{self._title}, round {window.round + 1} of {rounds}{left}"
        note = (
            "95 % intervals over finished blocks. No verdicts: those come after block "
            f"{self._next_look}."
        )
        self._console.show(self._standings.board(title, note))

    def _parity(self, event: Parity) -> None:
        result = parity_verdict(event)
        if result.passed:
            if event.trial is None:
                worst = result.worst_at_step_1, result.worst_at_steps_2_to_10
                shown = [f"{each.value:.1e}" for each in worst if each and each.value is not None]
                where = "" if event.precision == "float32" else f" in {event.precision}"
                off = ", ".join(shown)
                self._console.say(
                    f"verified {event.cell}{where}: {off} from the oracle at most{_when(event)}"
                )
            return
        for failure in result.failures:
            self._console.warn(f"parity failed: {event.cell}: {failure}")

    def _dropout(self, event: DropoutCheck) -> None:
        verdict = dropout_verdict(event)
        if verdict.passed:
            self._console.say(f"verified {event.cell}: its dropout is the oracle's{_when(event)}")
        for failure in verdict.failures:
            self._console.warn(f"parity failed: {event.cell}: {failure}")

    def _settings(self, event: TrialFinished) -> None:
        """What took no effect is said once, of the worker that saw it first."""
        refused = {name: instead for name, instead in event.effects.items() if instead}
        for name in refused.keys() - self._refused:
            first = self._cells[self._trials[event.trial].cell].contender
            self._console.warn(f"{name} took no effect in {first}: {refused[name]}")
        self._refused |= refused.keys()

    def _audit(self, event: Audit) -> None:
        for failure in audit_verdict(event).failures:
            self._console.warn(f"not comparable: {event.cell}: {failure}")

    def _block_finished(self, event: BlockFinished) -> None:
        self._console.show(None)
        duration = time.monotonic() - self._block_began
        if event.long:
            self._long_durations[event.group].append(duration)
        else:
            self._durations.append(duration)
            self._standings.finish()
        shown = ", ".join(
            f"{self._cells[self._trials[trial].cell].contender}"
            f"{' (A/A)' if self._trials[trial].twin else ''} "
            f"{statistics.median(self._rates[trial]):,.0f}"
            for trial in event.trials
            if trial in self._rates
        )
        recipe = self._cast.label(self._cast.group(event.group))
        if event.long:
            left = self._long_time_left(event.group, event.block)
            self._console.say(f"{recipe}, whole recipe, examples/s: {shown}{left}")
            return
        self._console.say(
            f"{recipe}, block {event.block} of {self._most}, examples/s: {shown}"
            f"{self._time_left(event.group, finished=True)}"
        )

    @property
    def _most(self) -> int:
        return self._looks[-1]

    @property
    def _next_look(self) -> int:
        """At the end of the block that goes on, or later."""
        return next((look for look in self._looks if look >= self._number), self._most)

    def _time_left(self, group: str, *, finished: bool = False) -> str:
        """How long it is to the next look, where that can be said.

        From the place of the block of ``group`` in the plan, so that a run that goes on knows it.
        """
        done = (self._number - 1) * len(self._groups) + self._groups.index(group) + finished
        ahead = (look * len(self._groups) for look in self._looks)
        left = next((blocks for blocks in ahead if blocks > done), done) - done
        return _in_words(left * statistics.mean(self._durations)) if self._durations else ""

    def _long_time_left(self, group: str, number: int) -> str:
        """How long it is until every seed has been trained with whole recipes."""
        done = number * len(self._long_groups) + self._long_groups.index(group) + 1
        everything = self._long_groups * len(self._plan.seeds)
        known = {name: statistics.mean(each) for name, each in self._long_durations.items()}
        usual = statistics.mean(known.values())
        return _in_words(sum(known.get(name, usual) for name in everything[done:]))


def _when(proof: ProofEvent) -> str:
    """``, as of DATE``, where an earlier run has proved it; nothing where this one has."""
    if proof.proved_at is None:
        return ""
    return f", as proved on {day(proof.proved_at)} with the same code and packages"


def _in_words(seconds: float) -> str:
    """``; about 5 min left``; nothing where nothing is left."""
    if seconds <= 0:
        return ""
    minutes = seconds / 60
    return f"; about {minutes:.0f} min left" if minutes >= 1 else "; less than 1 min left"
