"""A run as pandas data frames. Their columns are declared in ``harness.spec.frames``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any

import msgspec
import pandas as pd

from harness.analysis.curves import Curve, curves
from harness.analysis.estimate import Interval
from harness.analysis.held import held_result
from harness.analysis.observations import Observations
from harness.analysis.outcomes import Proof
from harness.analysis.trials import Trial
from harness.analysis.verdicts import judge
from harness.spec.cells import Cell
from harness.spec.events import GpuReading, Window
from harness.spec.exports import WindowRow
from harness.spec.frames import (
    CellRow,
    CurveRow,
    EvaluationRow,
    HeldBy,
    ParityRow,
    RateRow,
    TrialRow,
    VerdictRow,
    columns,
)
from harness.spec.proof_events import Audit, Deviation, Parity

Row = type[msgspec.Struct]
HELD: dict[Proof, str] = {"proved": "passed", "lost": "failed", "not_run": "missing"}
"""What became of a cell → the word of the column ``parity``."""
PHASES = ("spawn", "import", "build", "stage", "first_step", "warm_up", "training", "evaluation")

RENAMED = {"at": "at_unix_seconds", "loss_sum": "loss_sum_nats", "correct": "correct_examples"}
"""Field of a window → its column, where that has another name."""
READ_FROM_WINDOWS = {
    RENAMED.get(name, name): attrgetter(name)
    for name in Window.__struct_fields__
    if RENAMED.get(name, name) in WindowRow.__struct_fields__
}
"""Column → what reads it from a window. What an audit reads beyond them is not for charts."""


def frame_of(row: Row, rows: Iterable[msgspec.Struct]) -> pd.DataFrame:
    """``rows``, all of the type ``row``, as a frame with exactly its columns and types."""
    kept = list(rows)
    return _framed(row, {name: [getattr(each, name) for each in kept] for name in _names(row)})


def windows_frame(run: Observations) -> pd.DataFrame:
    """A row for each window of the finished blocks, short ones first: ``WindowRow``."""
    values: dict[str, list[Any]] = {name: [] for name in _names(WindowRow)}
    for trial in _trials(run):
        cell = run.cells.get(trial.started.cell)
        if cell is None:
            continue
        windows = trial.windows
        for name, value in _of_trial(run, cell, trial).items():
            values[name].extend(repeat(value, len(windows)))
        for name, read in READ_FROM_WINDOWS.items():
            values[name].extend(map(read, windows))
        values["examples_per_second"].extend(map(_rate, windows))
        for name in GpuReading.__struct_fields__:
            values[f"gpu_{name}"].extend(_of_gpu(window.gpu, name) for window in windows)
    return _framed(WindowRow, values)


def trials_frame(run: Observations) -> pd.DataFrame:
    """A row for each trial of the finished blocks: ``TrialRow``."""
    return frame_of(
        TrialRow,
        (
            TrialRow(
                **_trial_columns(run, trial),
                **_phase_columns(trial),
                started_unix_seconds=trial.started.at,
                finished_unix_seconds=trial.finished.at,
                steps=trial.finished.steps,
                windows=len(trial.windows),
                evaluations=len(trial.evaluations),
                peak_memory_bytes=trial.finished.peak_memory_bytes,
                peak_device_memory_bytes=trial.finished.peak_device_memory_bytes,
                held_device_memory_bytes=trial.finished.held_device_memory_bytes,
            )
            for trial in _trials(run)
            if trial.started.cell in run.cells
        ),
    )


def evaluations_frame(run: Observations) -> pd.DataFrame:
    """A row for each evaluation in the finished blocks: ``EvaluationRow``."""
    return frame_of(
        EvaluationRow,
        (
            EvaluationRow(
                **_trial_columns(run, trial),
                at_unix_seconds=each.at,
                epoch=each.epoch,
                step=each.step,
                loss_sum_nats=each.loss_sum,
                correct_examples=each.correct,
                examples=each.examples,
                test_accuracy=each.correct / each.examples if each.examples else None,
                evaluation_seconds=each.seconds,
                stage_seconds=each.stage_seconds,
            )
            for trial in _trials(run)
            if trial.started.cell in run.cells
            for each in trial.evaluations
        ),
    )


def rates_frame(run: Observations) -> pd.DataFrame:
    """A row for each contender of the short blocks: ``RateRow``."""
    return frame_of(
        RateRow,
        (
            RateRow(
                **_cell_columns(run, rate.group, run.cells[rate.cell]),
                twin=rate.twin,
                blocks=rate.blocks,
                examples_per_second=rate.examples_per_second,
                examples_per_second_low=_low(rate.interval),
                examples_per_second_high=_high(rate.interval),
                examples_per_second_by_total_time=rate.examples_per_second_by_total_time,
                effective_threads=rate.effective_threads,
                waiting_cpu_share=rate.waiting_cpu_share,
            )
            for rate in judge(run).rates
            if rate.cell in run.cells
        ),
    )


def verdicts_frame(run: Observations) -> pd.DataFrame:
    """A row for each pair of contenders: ``VerdictRow``."""
    return frame_of(
        VerdictRow,
        (
            VerdictRow(
                run=run.manifest.run,
                group=each.group,
                cell=each.cell,
                against=each.against,
                status=each.status,
                verdict=each.verdict,
                reason=each.reason,
                detail=each.detail,
                times_faster=each.times_faster,
                times_faster_low=_low(each.interval),
                times_faster_high=_high(each.interval),
                confidence=_confidence(each.interval),
                equivalence_low=_low(each.equivalence_interval),
                equivalence_high=_high(each.equivalence_interval),
                equivalence_confidence=_confidence(each.equivalence_interval),
                p=each.p,
                p_adjusted=each.p_adjusted,
                blocks=each.blocks,
                noise_floor_low=_low(each.noise_floor),
                noise_floor_high=_high(each.noise_floor),
                blocks_to_settle=each.blocks_to_settle,
                times_faster_by_total_time=each.times_faster_by_total_time,
            )
            for each in judge(run).verdicts
        ),
    )


def parity_frame(run: Observations) -> pd.DataFrame:
    """A row for each time that a cell was held, in order: ``ParityRow``."""
    return frame_of(ParityRow, _parity_rows(run))


def curves_frame(run: Observations) -> pd.DataFrame:
    """A row for each point of the long trials' curves: ``CurveRow``."""
    return frame_of(
        CurveRow,
        (
            row
            for curve in curves(run)
            if curve.cell in run.cells
            for row in _curve_rows(curve, _cell_columns(run, curve.group, run.cells[curve.cell]))
        ),
    )


def plain_columns(row: Row, frame: pd.DataFrame) -> list[list[Any]]:
    """The values of each column of ``row`` in ``frame``, missing ones as ``None``."""
    return [_plain(frame[name]) for name in _names(row)]


def _plain(column: pd.Series) -> list[Any]:
    values = column.astype(object)
    missing = column.isna()
    return list(values.mask(missing, None)) if missing.any() else list(values)


def _framed(row: Row, values: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {each.name: pd.Series(values[each.name], dtype=each.dtype) for each in columns(row)}
    )


def _names(row: Row) -> tuple[str, ...]:
    return row.__struct_fields__


def _trials(run: Observations) -> Iterator[Trial]:
    """Of the finished blocks, short ones first."""
    for block in run.blocks:
        yield from block.trials


def _of_trial(run: Observations, cell: Cell, trial: Trial) -> dict[str, object]:
    """What holds for all windows of a trial."""
    manifest = run.manifest
    return {
        **_cell_columns(run, trial.started.group, cell),
        "created": manifest.created,
        "machine": manifest.machine.fingerprint,
        "git_commit": manifest.git_commit,
        "levelfield": manifest.levelfield,
        "parity": HELD[run.proof(cell.id)],
        "long": trial.started.long,
        "block": trial.started.block,
        "seed": trial.started.seed,
        "twin": trial.started.twin,
    }


def _cell_columns(run: Observations, group: str, cell: Cell) -> dict[str, Any]:
    """Those of ``CellRow``."""
    special = {
        "run": run.manifest.run,
        "group": group,
        "cell": cell.id,
        "recipe": cell.recipe.label,
        "batch_size": cell.recipe.batch_size,
    }
    return special | {name: getattr(cell, name) for name in _names(CellRow) if name not in special}


def _trial_columns(run: Observations, trial: Trial) -> dict[str, Any]:
    started = trial.started
    return _cell_columns(run, started.group, run.cells[started.cell]) | {
        name: getattr(started, name) for name in ("long", "block", "seed", "trial", "twin")
    }


def _phase_columns(trial: Trial) -> dict[str, Any]:
    return {f"{name}_seconds": trial.finished.phases.get(name) for name in PHASES}


def _rate(window: Window) -> float | None:
    """Nothing where no clock can have shown it."""
    timed = window.examples > 0 and window.wall_seconds > 0
    return window.examples / window.wall_seconds if timed else None


def _of_gpu(reading: GpuReading | None, name: str) -> object:
    if reading is None:
        return None
    value = getattr(reading, name)
    return " ".join(value) if isinstance(value, tuple) else value


def _parity_rows(run: Observations) -> Iterator[ParityRow]:
    for event in run.events:
        result = held_result(event)
        if result is None:
            continue
        checks: Sequence[object] = ()
        if isinstance(event, Audit):
            checks = event.checks
        elif isinstance(event, Parity):
            checks = event.deviations
        yield ParityRow(
            run=run.manifest.run,
            cell=result.cell,
            held_by=_held_by(event),
            at_unix_seconds=event.at,
            trial=getattr(event, "trial", None),
            precision=getattr(event, "precision", None),
            passed=result.passed,
            failures=len(result.failures),
            failed_checks="; ".join(result.failures),
            checks=len(checks) or 1,
            tolerance_share_at_step_1=_share(result.worst_at_step_1),
            tolerance_share_later=_share(result.worst_at_steps_2_to_10),
        )


def _held_by(event: msgspec.Struct) -> HeldBy:
    kinds: dict[str, HeldBy] = {
        "parity": "proof", "loader_check": "loader", "dropout_check": "dropout", "audit": "audit",
    }  # fmt: skip
    return kinds[str(event.__struct_config__.tag)]


def _share(worst: Deviation | None) -> float | None:
    if worst is None or worst.value is None or not worst.tolerance:
        return None
    return worst.value / worst.tolerance


def _curve_rows(curve: Curve, of_cell: Mapping[str, Any]) -> Iterator[CurveRow]:
    own = {**of_cell, **{name: getattr(curve, name) for name in ("block", "seed", "trial")}}
    for state in curve.training:
        yield CurveRow(
            **own,
            point="window",
            epoch=state.epoch,
            train_seconds=state.train_seconds,
            train_loss_nats=state.loss,
            train_accuracy=state.accuracy,
            test_loss_nats=None,
            test_accuracy=None,
        )
    for end in curve.epochs:
        yield CurveRow(
            **own,
            point="epoch",
            epoch=end.epoch,
            train_seconds=end.train_seconds,
            train_loss_nats=end.train_loss,
            train_accuracy=end.train_accuracy,
            test_loss_nats=end.test_loss,
            test_accuracy=end.test_accuracy,
        )


def _low(interval: Interval | None) -> float | None:
    return interval.low if interval else None


def _high(interval: Interval | None) -> float | None:
    return interval.high if interval else None


def _confidence(interval: Interval | None) -> float | None:
    return interval.confidence if interval else None
