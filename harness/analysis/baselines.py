"""What of a run a stored baseline keeps, and under which conditions two runs may be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.analysis.controlled import ControlledRate, controlled_rates
from harness.analysis.curves import Curve, curves_by_cell
from harness.analysis.judgement import REASONS
from harness.analysis.observations import Observations
from harness.analysis.outcomes import Proof
from harness.analysis.protocol import LEAST_BLOCKS
from harness.analysis.trials import Trial
from harness.spec.baselines import Baseline, BaselineCell, BaselineValue, TrainedAccuracy
from harness.spec.cells import Cell
from harness.spec.machine import Environment
from harness.spec.manifest import Group, Manifest
from harness.spec.recipes import Recipe

NAMING = ("recipe", "framework", "mode", "input", "device", "threads", "settings")
"""The conditions that a series is named by: two that differ in one of these are two series."""
NO_CONDITIONS = frozenset({"PATH", "HOME", "USER", "TMPDIR", "TZ"})
"""Variables that say where things are and whose, not how they are computed: they differ from one
job to the next."""
NOT_COMPUTED = {
    "name",
    "published",
    "target_accuracy",
    "agreement",
    "overrides",
}
"""Fields of a recipe that no training step depends on; names and overrides are in its label."""


class Difference(NamedTuple):
    """A condition that two runs do not share."""

    field: str
    got: str
    expected: str


class RunCell(NamedTuple):
    """What a run says of one cell."""

    cell: Cell
    parity: Proof
    kept: BaselineCell | None
    """With this run's value alone; nothing where there is none that may be compared."""
    lack: str
    """Why there is none, as a clause; empty where there is."""


def run_cells(run: Observations) -> tuple[RunCell, ...]:
    """Every cell of the run, in its order, without those of a gate's base and of scripts."""
    trials = {
        trial.started.cell: trial for block in reversed(run.short_blocks) for trial in block.trials
    }
    trained = {cell: curves for (_, cell), curves in curves_by_cell(run).items()}
    rates = controlled_rates(run.events)
    found = []
    for cell in run.manifest.cells:
        if not cell.of_work_tree:
            continue
        lack = _lack(run, cell.id, rates.get(cell.id))
        kept = None
        if not lack:
            value = _value(run.manifest, rates[cell.id], trained.get(cell.id, ()))
            environment = run.environments.get(cell.id)
            conditions = _conditions(run.manifest, cell, trials[cell.id], environment)
            kept = BaselineCell(series=cell.series, conditions=conditions, values=(value,))
        found.append(RunCell(cell, run.proof(cell.id), kept, lack))
    return tuple(found)


def _lack(run: Observations, cell: str, rate: ControlledRate | None) -> str:
    """Why there is nothing of ``cell`` to compare, as a clause; empty where there is."""
    if cell in run.obstacles.of_cells:
        return REASONS[run.obstacles.of_cells[cell].reason]
    if cell in run.failures:
        return f"{run.failures[cell].phase}: {run.failures[cell].reason}"
    if rate is None:
        return "no finished block has it"
    if rate.blocks < LEAST_BLOCKS:
        return f"{rate.blocks} finished blocks, expected {LEAST_BLOCKS} or more"
    return ""


def differences(got: Mapping[str, str], expected: Mapping[str, str]) -> tuple[Difference, ...]:
    """The conditions that are not the same, in the order of ``expected``."""
    return tuple(
        Difference(field, got.get(field, "none"), expected.get(field, "none"))
        for field in dict.fromkeys([*expected, *got])
        # Files of before such variables were left out have them.
        if got.get(field) != expected.get(field)
        and field.removeprefix("variable ") not in NO_CONDITIONS
    )


def nearest(entries: Sequence[BaselineCell], baseline: Baseline) -> tuple[Difference, ...]:
    """What parts the two most similar series of ``entries`` and ``baseline``; both hold some."""
    between = [
        tuple(
            each for each in differences(entry.conditions, kept.conditions) if each.field in NAMING
        )
        for entry in entries
        for kept in baseline.cells
    ]
    return min(between, key=len)


def extended(baseline: Baseline, entries: Sequence[BaselineCell]) -> Baseline:
    """``baseline`` with the values of ``entries`` behind its own; new series at its end."""
    cells = {cell.series: cell for cell in baseline.cells}
    for entry in entries:
        known = cells.get(entry.series)
        values = (*known.values, *entry.values) if known else entry.values
        cells[entry.series] = msgspec.structs.replace(known or entry, values=values)
    return msgspec.structs.replace(baseline, cells=tuple(cells.values()))


def _value(manifest: Manifest, rate: ControlledRate, trained: Sequence[Curve]) -> BaselineValue:
    return BaselineValue(
        run=manifest.run,
        created=manifest.created,
        git_commit=manifest.git_commit,
        levelfield=manifest.levelfield,
        blocks=rate.blocks,
        examples_per_second=rate.examples_per_second,
        control_seconds=rate.control_seconds,
        accuracies=tuple(
            TrainedAccuracy(seed=curve.seed, epoch=end.epoch, test_accuracy=end.test_accuracy)
            for curve in sorted(trained, key=lambda curve: curve.seed)
            for end in curve.epochs[-1:]
            if end.test_accuracy is not None
        ),
    )


def _conditions(
    manifest: Manifest, cell: Cell, trial: Trial, environment: Environment | None
) -> dict[str, str]:
    """Field → value, in words; what can't be known is left out."""
    machine = manifest.machine
    named = (cell.recipe.label, cell.framework, cell.mode, cell.group.split("/")[-2], cell.device)
    conditions = dict(zip(NAMING, (*named, str(cell.threads), cell.settings), strict=True))
    conditions |= {
        "CPU": machine.cpu,
        "cores": str(machine.cores),
        "memory in GiB": str(round(machine.memory_bytes / 2**30)),
        "kernel": machine.kernel,
        "GPU": machine.gpu or "none",
        "driver": machine.driver or "none",
        "version": cell.version,
        "variant": cell.variant or "none",
        "data": trial.finished.hashes.data,
        "seed": str(trial.started.seed),
        "initial weights": trial.finished.hashes.weights,
        **dict(_recipe_conditions(cell.recipe)),
        **_plan_conditions(manifest, cell),
    }
    variables = manifest.worker_environment.get(cell.id, {})
    conditions |= {
        f"variable {name}": value
        for name, value in sorted(variables.items())
        if name not in NO_CONDITIONS
    }
    # NumPy computes the control kernel; runs of before this was recorded say nothing here.
    conditions |= {f"harness's {name}": value for name, value in sorted(manifest.harness.items())}
    if environment:
        conditions["Python"] = environment.python
        if environment.moving:
            conditions["moving requirements"] = "; ".join(environment.moving)
        conditions |= {
            f"package {name}": version for name, version in sorted(environment.packages.items())
        }
    return conditions


def _recipe_conditions(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for field, value in msgspec.to_builtins(recipe).items():
        if field not in NOT_COMPUTED:
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            yield f"recipe's {field}", text


def _plan_conditions(manifest: Manifest, cell: Cell) -> dict[str, str]:
    """Windows of another length are other windows."""
    usual = Group(name=cell.group, cells=(cell.id,))
    own = next((group for group in manifest.plan.groups if cell.id in group.cells), usual)
    return {
        "window_steps": str(own.window_steps or manifest.plan.window_steps),
        "lead_in_steps": str(manifest.plan.lead_in_steps),
    }
