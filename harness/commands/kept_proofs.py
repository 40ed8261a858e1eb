"""Proofs that passed are kept for later runs: the same code computes the same again.

A proof is found again only where all is as it was: the harness, the worker's code, every package,
the recipe with its weights and batches, what the worker is started with, and the machine. Audits of
timed trials are never kept, and the first trial of each cell is proved in its own worker all the
same. What failed is made anew each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from harness.analysis.held import held_result
from harness.commands.code import harness_digest
from harness.commands.preparation import Prepared
from harness.execution.proof import ProofPlan
from harness.files import UnreadableFile, content_of, decoded, whole
from harness.paths import user_cache
from harness.spec.cells import Cell
from harness.spec.manifest import Manifest
from harness.spec.proof_events import DropoutCheck, LoaderCheck, Parity

AnyProof = Parity | LoaderCheck | DropoutCheck
MOST_KEPT = 1_000
"""Cells; those that were proved longest ago go first."""


class KeptProofs:
    """What earlier runs have proved of the cells of this one."""

    def __init__(self, manifest: Manifest, prepared: Prepared, folder: Path | None = None) -> None:
        """``folder``: where proofs are kept, the user's cache by default."""
        self._manifest = manifest
        self._prepared = prepared
        self._folder = user_cache() / "proofs" if folder is None else folder

    def of(self, cell: Cell, plan: ProofPlan, at: float) -> tuple[AnyProof, ...]:
        """What was proved of ``cell`` by the steps of ``plan``, as events of the moment ``at``.

        Empty where nothing was, or where the run asks for proofs of its own.
        """
        if self._manifest.plan.fresh:
            return ()
        try:
            kept = decoded(content_of(self._path(cell, plan)), tuple[AnyProof, ...])
        except (FileNotFoundError, UnreadableFile):
            return ()
        if not kept or not all(_holds(event, cell) for event in kept):
            return ()
        return tuple(msgspec.structs.replace(event, at=at, proved_at=event.at) for event in kept)

    def keep(self, cell: Cell, plan: ProofPlan, events: Sequence[AnyProof]) -> None:
        """``events``, all that was proved of ``cell``, are found by later runs, if they passed.

        Where they can't be written, nothing is: the proof is made again, and that is all.
        """
        if not events or not all(_holds(event, cell) for event in events):
            return
        with suppress(OSError):
            path = self._path(cell, plan)
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path, durable=False) as file:
                file.write(msgspec.json.encode(events))
            for old in _oldest_last(path.parent)[MOST_KEPT:]:
                old.unlink(missing_ok=True)

    def _path(self, cell: Cell, plan: ProofPlan) -> Path:
        """The file of a digest of all that the proof depends on."""
        manifest, prepared = self._manifest, self._prepared
        contender, oracle = prepared.contenders[cell.id], prepared.oracles[cell.id]
        name = f"{cell.framework}~{cell.variant}" if cell.variant else cell.framework
        [environment] = (
            one
            for one in manifest.environments
            if (one.framework, one.version, one.variant)
            == (cell.framework, cell.version, cell.variant)
        )
        facts = (
            harness_digest(),
            manifest.code.get(name),
            prepared.oracle_code,
            oracle.cell.version,
            environment,
            cell,
            contender.job.setup,
            contender.job.loader and contender.job.loader.workers,
            prepared.inputs.expected_hashes(cell, manifest.plan.seed, plan),
            tuple(plan),
            manifest.worker_environment[cell.id],
            manifest.machine.identity,
            manifest.machine.libc,
            manifest.harness,
        )
        digest = hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:32]
        return self._folder / f"{digest}.json"


def _holds(event: AnyProof, cell: Cell) -> bool:
    result = held_result(event)
    return event.cell == cell.id and result is not None and result.passed


def _oldest_last(folder: Path) -> list[Path]:
    def written(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except FileNotFoundError:  # another run has removed it
            return 0.0

    return sorted(folder.glob("*.json"), key=written, reverse=True)
