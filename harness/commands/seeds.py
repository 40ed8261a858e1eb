"""``levelfield verify --seeds``: how often the proof of an honest cell holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.analysis.seeds import CellOverSeeds, cells_over_seeds
from harness.commands.catalogue import Catalogue
from harness.commands.ci import publish
from harness.commands.forecast import Forecast
from harness.commands.kept import Kept
from harness.commands.plan import command_line, plan_run
from harness.commands.preparation import prepare_workers
from harness.commands.verification import Verification
from harness.console import Console
from harness.execution.process import WorkerError
from harness.report.cases import seeds_cases
from harness.spec.selection import Selection
from harness.spec.suites import Suite
from harness.temporary import temporary_folder


class UnprovedCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell whose worker failed before it was held from every seed."""

    cell: str
    phase: str
    reason: str


class SeedsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify --seeds N --json`` says."""

    seeds: tuple[int, ...]
    exit_code: int
    cells: tuple[CellOverSeeds, ...]
    unproved: tuple[UnprovedCell, ...]


def show_seeds(
    console: Console,
    catalogue: Catalogue,
    suite: Suite,
    selection: Selection,
    seeds: Sequence[int],
    junit_file: Path | None,
) -> int:
    """Each cell was held from each of ``seeds``, and how it fared stands on standard output; the
    exit code: 3 if a proof failed, 2 if a worker did, else 0.

    Raises:
        LevelfieldError: it could not begin.
    """
    planned = plan_run(console, catalogue, suite, selection, command_line())
    for what, reason in planned.left_out:
        console.say(f"left out: {what}: {reason}")
    results: list[CellOverSeeds] = []
    unproved = []
    with temporary_folder("seeds") as folder:
        manifest = planned.manifest
        prepared = prepare_workers(console, catalogue, manifest, folder, planned.resources)
        logs = folder / "logs"
        logs.mkdir()
        forecast = Forecast(manifest, prepared, logs, folder / "oracle")
        kept = Kept(manifest, prepared)
        verification = Verification(manifest, prepared, forecast, logs, lambda event: None, kept)
        for cell in manifest.cells:
            proofs = []
            try:
                for seed, parity in verification.over_seeds(cell, seeds):
                    console.status(f"{cell.id}, seed {seed}, {parity.precision}")
                    proofs.append((seed, parity))
            except WorkerError as error:
                unproved.append(UnprovedCell(cell=cell.id, phase=error.phase, reason=error.reason))
                console.warn(f"{cell.id}: {error.phase}: {error.reason}")
            for result in cells_over_seeds(proofs):
                console.say(_line(result))
                results.append(result)
    code = 3 if any(result.failed for result in results) else 2 if unproved else 0
    _show(console, seeds, results)
    console.answer(
        SeedsAnswer(
            seeds=tuple(seeds), exit_code=code, cells=tuple(results), unproved=tuple(unproved)
        )
    )
    reasons = {each.cell: f"{each.phase}: {each.reason}" for each in unproved}
    publish(console, "verify", seeds_cases(tuple(results), reasons), junit_file)
    return code


def _line(result: CellOverSeeds) -> str:
    return f"{result.cell}, {result.precision}: proved from {_share(result)} seeds"


def _share(result: CellOverSeeds) -> str:
    return f"{result.proved} of {result.seeds}"


def _show(console: Console, seeds: Sequence[int], results: Sequence[CellOverSeeds]) -> None:
    console.table(
        f"Proofs from seeds {seeds[0]} to {seeds[-1]}",
        ("cell", "precision", "proved", "worst share of what is granted", "seed", "of"),
        [
            (
                result.cell,
                result.precision,
                _share(result),
                "not finite" if result.worst_share is None else f"{result.worst_share:.2f}",
                "" if result.worst_seed is None else str(result.worst_seed),
                (
                    ""
                    if result.worst is None
                    else f"{result.worst.check} {result.worst.tensor}".strip()
                    + f", step {result.worst.step}"
                ),
            )
            for result in results
        ],
    )
    for result in results:
        for failed in result.failed:
            for line in failed.failures:
                console.result(f"{result.cell}, seed {failed.seed}, {result.precision}: {line}")
