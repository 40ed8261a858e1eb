"""A run in the terms of other tools: lists of results. Tables are ``frames``."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from harness.analysis.curves import curves_by_cell
from harness.analysis.judgement import LeftOut, Rate
from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.spec.exports import BencherMetric, GithubBenchmark
from harness.spec.manifest import Manifest


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


def results(run: Observations) -> Results:
    """What is known of each cell that may be compared, in the order of the plan.

    Cells that failed parity, or of which nothing was measured, are in ``left_out``.
    """
    judgement = judge(run)
    rates = {rate.cell: rate for rate in judgement.rates if not rate.twin}
    peaks: dict[str, int] = {}
    for block in run.blocks:
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
