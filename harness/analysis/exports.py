"""A run in the terms of other tools: a table of windows, and lists of results."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any, Literal, NamedTuple

import msgspec

from harness.analysis.curves import curves_by_cell
from harness.analysis.held import held_results
from harness.analysis.judgement import LeftOut, Rate
from harness.analysis.trials import Trial, finished_blocks
from harness.analysis.verdicts import judge
from harness.spec.cells import Cell
from harness.spec.events import GpuReading, Manifest, Run, Window
from harness.spec.exports import BencherMetric, GithubBenchmark, WindowRow

Parity = Literal["passed", "failed", "missing"]


class Result(NamedTuple):
    """What a run says of one comparable cell."""

    cell: str
    rate: Rate | None
    """Nothing where it was not timed in short blocks."""
    test_accuracies: tuple[float, ...]
    """After the last epoch, one a seed; empty without long trials."""
    peak_memory_bytes: int
    """The largest resident memory of its workers."""


class Results(NamedTuple):
    """Those of a run's cells, and the cells that can't be compared with anything."""

    of_cells: tuple[Result, ...]
    left_out: tuple[LeftOut, ...]


def window_rows(run: Run) -> Iterator[WindowRow]:
    """A row for each window of the finished blocks, short ones first."""
    cells = {cell.id: cell for cell in run.manifest.cells}
    passed: dict[str, bool] = {}
    for result in held_results(run):
        passed[result.cell] = passed.get(result.cell, True) and result.passed
    for long in (False, True):
        for block in finished_blocks(run, long=long):
            for trial in block.trials:
                cell = cells.get(trial.started.cell)
                if cell is None:
                    continue
                parity: Parity = "missing"
                if cell.id in passed:
                    parity = "passed" if passed[cell.id] else "failed"
                for window in trial.windows:
                    yield _row(run.manifest, cell, parity, trial, window)


def results(run: Run) -> Results:
    """What is known of each cell that may be compared, in the order of the plan.

    Cells that failed parity, or of which nothing was measured, are in ``left_out``.
    """
    judgement = judge(run)
    rates = {rate.cell: rate for rate in judgement.rates if not rate.twin}
    peaks: dict[str, int] = {}
    for long in (False, True):
        for block in finished_blocks(run, long=long):
            for trial in block.trials:
                cell = trial.started.cell
                peaks[cell] = max(peaks.get(cell, 0), trial.finished.peak_memory_bytes)
    accuracies: dict[str, tuple[float, ...]] = {}
    for (_, cell), trained in curves_by_cell(run).items():
        ends = (curve.epochs[-1].test_accuracy for curve in trained)
        accuracies[cell] = tuple(end for end in ends if end is not None)
    left_out = {
        each.cell: each
        for group in judgement.groups
        for each in group.left_out
        if each.reason != "not_measured" or not accuracies.get(each.cell)
    }
    return Results(
        tuple(
            Result(cell, rates.get(cell), accuracies.get(cell, ()), peaks.get(cell, 0))
            for group in run.manifest.plan.groups
            for cell in group.cells
            if cell not in left_out and (cell in rates or accuracies.get(cell))
        ),
        tuple(left_out.values()),
    )


def github_benchmarks(manifest: Manifest, of: Results) -> tuple[GithubBenchmark, ...]:
    """Rates, then final test accuracies: of both, bigger is better."""
    machine = manifest.machine
    circumstances = (
        f"run {manifest.run}\nmachine {machine.fingerprint} ({machine.cpu}, {machine.cores} cores)"
    )
    rates = [
        GithubBenchmark(
            name=rate.cell,
            unit="examples/s",
            value=rate.examples_per_second,
            range=(
                f"{rate.interval.low:.6g} to {rate.interval.high:.6g}, 95 %"
                if rate.interval
                else "no interval from one block"
            ),
            extra=f"blocks {rate.blocks}\n{circumstances}",
        )
        for rate in (each.rate for each in of.of_cells)
        if rate is not None
    ]
    accuracies = [
        GithubBenchmark(
            name=f"{each.cell}: test accuracy",
            unit="%",
            value=100 * median(each.test_accuracies),
            range=f"{100 * min(each.test_accuracies):.2f} to {100 * max(each.test_accuracies):.2f}",
            extra=f"median of seeds {len(each.test_accuracies)}\n{circumstances}",
        )
        for each in of.of_cells
        if each.test_accuracies
    ]
    return (*rates, *accuracies)


def bencher_metrics(of: Results) -> dict[str, dict[str, BencherMetric]]:
    """Cell → measure → metric.

    ``throughput`` is Bencher's own measure of operations (here: examples) a second, with its 95 %
    interval; ``test-accuracy`` is the median over seeds, as a fraction, with the lowest and the
    highest; ``peak-memory-bytes`` the largest resident memory of its workers.
    """
    found = {}
    for cell, rate, accuracies, peak_memory_bytes in of.of_cells:
        metrics = {"peak-memory-bytes": BencherMetric(value=peak_memory_bytes)}
        if rate:
            metrics["throughput"] = BencherMetric(
                value=rate.examples_per_second,
                lower_value=rate.interval.low if rate.interval else None,
                upper_value=rate.interval.high if rate.interval else None,
            )
        if accuracies:
            several = len(accuracies) > 1
            metrics["test-accuracy"] = BencherMetric(
                value=median(accuracies),
                lower_value=min(accuracies) if several else None,
                upper_value=max(accuracies) if several else None,
            )
        found[cell] = metrics
    return found


def _row(manifest: Manifest, cell: Cell, parity: Parity, trial: Trial, window: Window) -> WindowRow:
    # What an audit reads beyond them is not for charts.
    columns = {"at", "loss_sum", "correct", *WindowRow.__struct_fields__}
    seen = {name: each for name, each in msgspec.structs.asdict(window).items() if name in columns}
    gpu = {} if window.gpu is None else _gpu_columns(window.gpu)
    timed = window.examples > 0 and window.wall_seconds > 0
    return WindowRow(
        run=manifest.run,
        created=manifest.created,
        machine=manifest.machine.fingerprint,
        git_commit=manifest.git_commit,
        levelfield=manifest.levelfield,
        group=trial.started.group,
        cell=cell.id,
        recipe=cell.recipe.label,
        framework=cell.framework,
        version=cell.version,
        variant=cell.variant,
        mode=cell.mode,
        input=cell.input,
        loader_workers=cell.loader_workers,
        device=cell.device,
        threads=cell.threads,
        settings=cell.settings,
        parity=parity,
        long=trial.started.long,
        block=trial.started.block,
        seed=trial.started.seed,
        twin=trial.started.twin,
        at_unix_seconds=seen.pop("at"),
        loss_sum_nats=seen.pop("loss_sum"),
        correct_examples=seen.pop("correct"),
        examples_per_second=window.examples / window.wall_seconds if timed else None,
        **seen,
        **gpu,
    )


def _gpu_columns(reading: GpuReading) -> dict[str, Any]:
    columns = {f"gpu_{name}": value for name, value in msgspec.structs.asdict(reading).items()}
    return {**columns, "gpu_throttle_reasons": " ".join(reading.throttle_reasons)}
