"""What earlier runs have shown and need not be shown again: proofs that passed, bases of gates.

Both depend on nothing but what stands in ``_circumstances``. They are found again only where all of
that is as it was: the worker's code, every package, the recipe with its weights, order and data,
what the worker is started with, and the machine; a proof also asks for the same harness. What
failed is never kept. Audits of timed trials are never taken over without their trial.

Nothing is kept of an interpreter that was there already: its packages have versions, but whoever
builds there may build another program under the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.analysis.held import held_result
from harness.commands.code import harness_digest
from harness.commands.preparation import Prepared
from harness.execution.proof import ProofPlan
from harness.files import UnreadableFile, content_of, decoded, whole
from harness.paths import user_cache
from harness.spec.cells import Cell
from harness.spec.events import Evaluation, TrialFinished, TrialStarted, Window
from harness.spec.machine import Environment
from harness.spec.manifest import Manifest
from harness.spec.proof_events import Audit, DropoutCheck, LoaderCheck, Parity

AnyProof = Parity | LoaderCheck | DropoutCheck
TrialEvent = TrialStarted | Window | Evaluation | TrialFinished | Audit
MOST_KEPT = 1_000
"""Of each kind; those that were written longest ago go first."""

E = TypeVar("E")


class Kept:
    """What earlier runs have shown of the cells of this one."""

    def __init__(self, manifest: Manifest, prepared: Prepared, folder: Path | None = None) -> None:
        """``folder``: where it is kept, the user's cache by default."""
        self._manifest = manifest
        self._prepared = prepared
        self._folder = user_cache() if folder is None else folder

    def proof(self, cell: Cell, plan: ProofPlan, at: float) -> tuple[AnyProof, ...]:
        """What was proved of ``cell`` by the steps of ``plan``, as events of the moment ``at``.

        Empty where nothing was, or where the run asks for everything anew.
        """
        if not self._is_ours(cell):
            return ()
        kept = self._read(self._proof_path(cell, plan), tuple[AnyProof, ...])
        if not all(map(_passed, kept)):
            return ()
        return tuple(
            msgspec.structs.replace(each, cell=cell.id, at=at, proved_at=each.at) for each in kept
        )

    def keep_proof(self, cell: Cell, plan: ProofPlan, events: Sequence[AnyProof]) -> None:
        """``events``, all that was proved of ``cell``, are found by later runs, if they passed."""
        if self._is_ours(cell) and all(map(_passed, events)):
            self._write(self._proof_path(cell, plan), events)

    def training(self, cell: Cell, seed: int, block: int, trial: int) -> tuple[TrialEvent, ...]:
        """The whole training of ``cell`` from ``seed``, as trial ``trial`` of the block ``block``.

        Empty where there was none, or where the run asks for everything anew.
        """
        if not self._is_ours(cell):
            return ()
        kept = self._read(self._training_path(cell, seed), tuple[TrialEvent, ...])
        if not _is_whole(kept, cell, seed):
            return ()
        taken_over: list[TrialEvent] = []
        for event in kept:
            event = msgspec.structs.replace(event, trial=trial)
            if isinstance(event, TrialStarted):
                event = msgspec.structs.replace(
                    event, cell=cell.id, block=block, trained_at=event.at
                )
            elif isinstance(event, Audit):
                event = msgspec.structs.replace(event, cell=cell.id)
            taken_over.append(event)
        return tuple(taken_over)

    def keep_training(self, cell: Cell, seed: int, events: Sequence[TrialEvent]) -> None:
        """``events``, all of one trial, are found by later gates, if its audit passed."""
        if self._is_ours(cell) and _is_whole(events, cell, seed):
            self._write(self._training_path(cell, seed), events)

    def _is_ours(self, cell: Cell) -> bool:
        """Whether its environment is one that we have made, and that nobody changes."""
        return not self._environment(cell).interpreter

    def _environment(self, cell: Cell) -> Environment:
        [environment] = (
            one
            for one in self._manifest.environments
            if (one.framework, one.version, one.variant)
            == (cell.framework, cell.version, cell.variant)
        )
        return environment

    def _read(self, path: Path, kind: type[tuple[E, ...]]) -> tuple[E, ...]:
        if self._manifest.plan.fresh:
            return ()
        try:
            return decoded(content_of(path), kind)
        except (FileNotFoundError, UnreadableFile):
            return ()

    def _write(self, path: Path, events: Sequence[object]) -> None:
        """Where it can't be written, nothing is: it is shown again, and that is all."""
        if not events:
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path, durable=False) as file:
                file.write(msgspec.json.encode(events))
            for old in _oldest_last(path.parent)[MOST_KEPT:]:
                old.unlink(missing_ok=True)

    def _proof_path(self, cell: Cell, plan: ProofPlan) -> Path:
        seed, oracle = self._manifest.plan.seed, self._prepared.oracles[cell.id]
        facts = (
            harness_digest(),
            self._prepared.oracle_code,
            oracle.cell.version,
            self._circumstances(cell, seed),
            tuple(plan),
        )
        return self._folder / "proofs" / f"{_digest(facts)}.json"

    def _training_path(self, cell: Cell, seed: int) -> Path:
        return self._folder / "trainings" / f"{_digest(self._circumstances(cell, seed))}.json"

    def _circumstances(self, cell: Cell, seed: int) -> tuple[object, ...]:
        """All that decides what a worker of ``cell`` computes from ``seed``."""
        manifest, inputs = self._manifest, self._prepared.inputs
        contender = self._prepared.contenders[cell.id]
        name = f"{cell.framework}~{cell.variant}" if cell.variant else cell.framework
        # Whose code it is, which revision's, does not matter: what it says does.
        return (
            manifest.code.get(name),
            msgspec.structs.replace(self._environment(cell), variant="", asked_version=None),
            msgspec.structs.replace(cell, variant=""),
            msgspec.structs.replace(contender.job.setup, seed=seed),
            inputs.weights_hash(cell, seed),
            inputs.order_hash(cell, seed),
            inputs.data_hash(cell),
            manifest.worker_environment[cell.id],
            manifest.machine.identity,
            manifest.machine.libc,
            manifest.harness,
        )


def _digest(facts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:32]


def _passed(event: AnyProof | Audit) -> bool:
    result = held_result(event)
    return result is not None and result.passed


def _is_whole(events: Iterable[TrialEvent], cell: Cell, seed: int) -> bool:
    """Whether they tell of a training of ``cell`` from ``seed``, to its end, and held."""
    events = list(events)
    started = [each for each in events if isinstance(each, TrialStarted)]
    audits = [each for each in events if isinstance(each, Audit)]
    epochs = {each.epoch for each in events if isinstance(each, Evaluation)}
    return (
        [(each.seed, each.long, each.twin) for each in started] == [(seed, True, False)]
        and sum(isinstance(each, TrialFinished) for each in events) == 1
        and epochs == set(range(1, cell.recipe.epochs + 1))
        and len({each.trial for each in events}) == 1
        and len(audits) == 1
        and all(map(_passed, audits))
    )


def _oldest_last(folder: Path) -> list[Path]:
    def written(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except FileNotFoundError:  # another run has removed it
            return 0.0

    return sorted(folder.glob("*.json"), key=written, reverse=True)
