"""``levelfield run`` and ``levelfield verify``: prove, train, time, judge, write it all down."""

from __future__ import annotations

import itertools
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from harness.analysis.durations import durations, latest_first
from harness.analysis.observations import Observations
from harness.analysis.studies import exit_code, groups_wanted, judged_as
from harness.analysis.trials import finished_blocks
from harness.commands.auditing import Auditing
from harness.commands.catalogue import Catalogue
from harness.commands.forecast import Forecast
from harness.commands.kept import Kept, TrialEvent
from harness.commands.outlook import outlook
from harness.commands.plan import plan_run
from harness.commands.preparation import INPUTS, Prepared, prepare_workers
from harness.commands.progress import RunProgress
from harness.commands.resources import resources_of
from harness.commands.verification import Verification
from harness.console import Console
from harness.errors import UsageError
from harness.execution.block import Block, BlockPlan
from harness.execution.contenders import Contender
from harness.execution.planning import Choice, LeftOut, affordable_blocks
from harness.execution.process import WorkerProcess
from harness.spec.events import AnyEvent, BlockFinished, Failure, RunFinished, Skip, TrialStarted
from harness.spec.gates import GateTerms
from harness.spec.manifest import Group, Manifest, Run, Study
from harness.spec.proof_events import Parity
from harness.spec.selection import Selection
from harness.spec.suites import Suite
from harness.store.durations import keep_durations, read_durations
from harness.store.run_writer import RunWriter
from harness.store.runs import read_manifest, read_run

MOST_KINDS = 500
"""Of groups whose durations are kept."""
CHANCES = 2
"""Failures after which a cell is not started again in this run."""


def start_run(
    console: Console,
    catalogue: Catalogue,
    suite: Suite,
    selection: Selection,
    runs: Path,
    command: tuple[str, ...],
    *,
    study: Study = "run",
    pairs: Sequence[Choice] | None = None,
    gate: GateTerms | None = None,
    left_out: Sequence[LeftOut] = (),
) -> Path:
    """A new run has come to its end; its folder.

    ``study``, ``pairs`` and ``gate``: see ``plan_run``. ``left_out``: recorded beside what planning
    leaves out.

    Raises:
        LevelfieldError: it could not begin.
    """
    planned = plan_run(
        console, catalogue, suite, selection, command, study=study, pairs=pairs, gate=gate
    )
    manifest = planned.manifest
    folder = runs / manifest.run
    for number in itertools.count(2):
        if not folder.exists():
            break
        folder = runs / f"{manifest.run}-{number}"
    manifest = msgspec.structs.replace(manifest, run=folder.name)
    with RunWriter.create(folder, manifest) as writer:
        prepared = prepare_workers(console, catalogue, manifest, folder, planned.resources)
        console.say(f"Plan: {outlook(manifest)}")
        session = RunSession(console, manifest, prepared, writer, ())
        for what, reason in (*left_out, *planned.left_out):
            session.record(Skip(at=time.time(), what=what, reason=reason))
        session.complete()
    return folder


def resume_run(
    console: Console,
    catalogue: Catalogue,
    folder: Path,
    data_dir: str | None,
    study: Study = "run",
) -> Path:
    """The run in ``folder`` has come to its end; what it had already done was not repeated.

    Raises:
        LevelfieldError: it can't go on, for instance because an environment has changed, or is
            another ``study``.
    """
    manifest = read_manifest(folder)
    check_study(manifest, study)
    if any(isinstance(event, RunFinished) for event in read_run(folder).events):
        return folder
    with RunWriter(folder) as writer:
        resources = resources_of(console, catalogue, manifest, data_dir)
        prepared = prepare_workers(console, catalogue, manifest, folder, resources)
        session = RunSession(console, manifest, prepared, writer, read_run(folder).events)
        session.complete()
    return folder


def check_study(manifest: Manifest, expected: Study) -> None:
    """The run is such a study: what it measures, and how that is judged, others do not know.

    Raises:
        UsageError: it is another; that names the command that goes on with it.
    """
    study = judged_as(manifest.study)
    if study != expected:
        raise UsageError(
            f"{manifest.run} is a {study}, expected a {expected}: "
            f"go on with it by 'levelfield {manifest.study} --resume {manifest.run}'"
        )


def remove_inputs(folder: Path) -> None:
    """The run in ``folder`` has no inputs: hundreds of megabytes that seeds bring back any time."""
    shutil.rmtree(folder / INPUTS, ignore_errors=True)


class RunSession:
    """A run in progress: what is done is known from its events alone."""

    def __init__(
        self,
        console: Console,
        manifest: Manifest,
        prepared: Prepared,
        writer: RunWriter,
        events: Iterable[AnyEvent],
    ) -> None:
        self._manifest = manifest
        self._prepared = prepared
        self._writer = writer
        self._events: list[AnyEvent] = list(events)
        self._progress = RunProgress(console, manifest)
        self._cells = {cell.id: cell for cell in manifest.cells}
        self._logs = writer.folder / "logs"
        trials = [event.trial for event in self._events if isinstance(event, TrialStarted)]
        self._numbers = itertools.count(max(trials, default=0) + 1)
        self._ends = writer.folder / INPUTS / "ends"
        self._ends.mkdir(parents=True, exist_ok=True)
        self._kept = Kept(manifest, prepared)
        forecast = Forecast(manifest, prepared, self._logs, self._ends.parent / "oracle")
        self._verification = Verification(
            manifest, prepared, forecast, self._logs, self.record, self._kept
        )
        self._auditing = Auditing(prepared, forecast, self._ends, self.record)
        self._began = time.monotonic()

    @property
    def run(self) -> Observations:
        """What is known so far."""
        return Observations(Run(manifest=self._manifest, events=self._events))

    def record(self, event: AnyEvent) -> None:
        """``event`` is on disk, and the user has seen what it means for them."""
        self._writer.append_event(event)
        self._events.append(event)
        self._progress.see(event)

    def complete(self) -> int:
        """Everything that the plan asks for has been done; the exit code."""
        if any(isinstance(event, RunFinished) for event in self._events):
            return exit_code(self.run)
        plan = self._manifest.plan
        self._verify()
        if plan.long_trials:
            self._long_blocks()
        self._short_blocks()
        code = exit_code(self.run)
        self._keep_durations()
        # Before the end is recorded: nobody comes back to a run that has ended.
        remove_inputs(self._writer.folder)
        self.record(RunFinished(at=time.time(), exit_code=code))
        return code

    def _keep_durations(self) -> None:
        """The next run of such groups can say beforehand how long it takes."""
        machine = self._manifest.machine
        known = latest_first(read_durations(machine), durations(self.run), MOST_KINDS)
        keep_durations(machine, known)

    def _verify(self) -> None:
        verified = {event.cell for event in self._events if isinstance(event, Parity)}
        failed = {event.cell for event in self._events if isinstance(event, Failure)}
        for cell in self._manifest.cells:
            if cell.id not in verified | failed:
                self._progress.verifying(cell)
                self._verification.verify(cell)

    def _long_blocks(self) -> None:
        """Seed by seed, so that a run that is stopped has as many seeds of every group."""
        plan = self._manifest.plan
        cells = self._cells
        # A loader trains in its own order: its accuracies have nothing to be compared with.
        groups = [
            each for each in plan.groups if each.long_trials and not cells[each.cells[0]].loads
        ]
        for number in range(len(plan.seeds)):
            for group in groups:
                self._block(group, number, long=True)

    def _short_blocks(self) -> None:
        looks = self._manifest.plan.looks
        for number in range(1, max(looks) + 1):
            wanted = groups_wanted(self.run)
            for group in self._manifest.plan.groups:
                if group.name in wanted:
                    self._block(group, number, long=False)
            if number == 1 and self._manifest.plan.budget_seconds is not None:
                self._fix_blocks(self._manifest.plan.budget_seconds)
                return self._short_blocks()
        return None

    def _fix_blocks(self, budget_seconds: float) -> None:
        """The number of blocks follows from the first one's duration, never from results."""
        events = [event for event in self._events if not isinstance(event, Parity)]
        firsts = [
            (event.at, started.at)
            for event in events
            if isinstance(event, BlockFinished) and not event.long and event.block == 1
            for started in events
            if isinstance(started, TrialStarted) and started.trial == min(event.trials, default=-1)
        ]
        block_seconds = sum(end - start for end, start in firsts) or 1.0
        blocks = affordable_blocks(budget_seconds, time.monotonic() - self._began, block_seconds)
        plan = msgspec.structs.replace(self._manifest.plan, looks=(blocks,), budget_seconds=None)
        self._manifest = msgspec.structs.replace(self._manifest, plan=plan)
        self._writer.replace_manifest(self._manifest)
        self._progress.blocks_fixed(blocks)

    def _block(self, group: Group, number: int, *, long: bool) -> None:
        """Block ``number`` of ``group`` is finished; nothing happens if it already was."""
        done = any(
            isinstance(event, BlockFinished)
            and (event.group, event.block, event.long) == (group.name, number, long)
            for event in self._events
        )
        contenders = self._present(group)
        if done or not contenders:
            return
        plan = self._manifest.plan
        seed = plan.seeds[number] if long else plan.seed
        if seed != plan.seed:
            contenders = [self._prepared.contender(one.cell.id, seed) for one in contenders]
        if plan.aa and not long and contenders[0].cell.id == group.cells[0]:
            contenders.append(contenders[0]._replace(twin=True))
        self._progress.block(group, number, long=long)
        contenders, taken_over = self._bases_taken_over(contenders, number, seed, long=long)
        Block(
            BlockPlan(
                number=number,
                group=group.name,
                long=long,
                seed=seed,
                rounds=plan.rounds if group.rounds is None else group.rounds,
                window_steps=(
                    plan.window_steps if group.window_steps is None else group.window_steps
                ),
                epochs=contenders[0].cell.recipe.epochs,
            ),
            contenders,
            self._logs,
            self.record,
            self._numbers,
            prove=self._prove,
            audit=self._audit,
            ends=self._ends,
            taken_over=taken_over,
        ).run()
        if long and self._manifest.study == "gate":
            self._keep_trainings()

    def _prove(self, contender: Contender, process: WorkerProcess, trial: int) -> None:
        """The first worker of a cell that is timed, from the run's own seed, is proved."""
        proved = {
            event.cell
            for event in self._events
            if isinstance(event, Parity) and event.trial is not None
        }
        at_own_seed = contender.job.setup.seed == self._manifest.plan.seed
        if at_own_seed and contender.cell.id not in proved:
            self._verification.prove(contender, process, trial)

    def _bases_taken_over(
        self, contenders: list[Contender], number: int, seed: int, *, long: bool
    ) -> tuple[list[Contender], tuple[int, ...]]:
        """The contenders of a gate's long block that have to be trained, and the trials of the
        others, which an earlier gate has trained; they are recorded as part of this block."""
        left, taken_over = [], []
        for contender in contenders:
            cell = contender.cell
            events: tuple[TrialEvent, ...] = ()
            if long and self._manifest.study == "gate" and not cell.of_work_tree:
                trial = next(self._numbers)
                events = self._kept.training(cell, seed, number, trial)
            if not events or len(contenders) == 1:
                left.append(contender)
                continue
            taken_over.append(trial)
            for event in events:
                self.record(event)
        return left, tuple(taken_over)

    def _keep_trainings(self) -> None:
        """Later gates find what the last block has trained: its head may be their base."""
        [*_, block] = finished_blocks(self._events, long=True)
        for trial in block.trials:
            started = trial.started
            events = [
                event
                for event in self._events
                if isinstance(event, TrialEvent) and event.trial == started.trial
            ]
            if started.trained_at is None:
                self._kept.keep_training(self._cells[started.cell], started.seed, events)

    def _audit(self, finished: BlockFinished) -> None:
        """Each trial of a block was held against what it had to compute."""
        [block] = [
            block
            for block in finished_blocks([*self._events, finished], long=finished.long)
            if (block.group, block.block) == (finished.group, finished.block)
        ]
        self._auditing.audit(block.trials)

    def _present(self, group: Group) -> list[Contender]:
        """The contenders of a group, without those that have used up their chances."""
        failures = Counter(event.cell for event in self._events if isinstance(event, Failure))
        unproven = {
            event.cell
            for event in self._events
            if isinstance(event, Failure) and event.block is None
        }
        return [
            self._prepared.contenders[cell]
            for cell in group.cells
            if failures[cell] < CHANCES and cell not in unproven
        ]
