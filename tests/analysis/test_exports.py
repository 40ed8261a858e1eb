"""Runs in the terms of other tools, held against those tools' own descriptions of their formats."""

from __future__ import annotations

import jsonschema
import msgspec
import pytest

from harness.analysis.exports import bencher_metrics, github_benchmarks, results, window_rows
from harness.analysis.verdicts import judge
from harness.spec.events import GpuReading, Run

from .golden import stored_run
from .runs import Contender, cell, long_events, noise, on_gpu, run_of, seeds_events, short_events

BENCHER = {
    "type": "object",
    "patternProperties": {
        "^.{1,1024}$": {
            "type": "object",
            "patternProperties": {
                "^[a-z0-9-]{1,64}$": {
                    "type": "object",
                    "properties": {
                        "value": {"type": "number"},
                        "lower_value": {"type": "number"},
                        "upper_value": {"type": "number"},
                    },
                    "required": ["value"],
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
"""As https://bencher.dev/docs/reference/bencher-metric-format says (names of measures are slugs, of
64 characters at most), but without room for fields that it would ignore."""

GITHUB = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "unit": {"type": "string"},
            "value": {"type": "number"},
            "range": {"type": "string"},
            "extra": {"type": "string"},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}
"""``BenchmarkResult`` in src/extract.ts of benchmark-action/github-action-benchmark; an empty list
is an error there."""


def both_kinds() -> Run:
    """Short and long blocks of two contenders, and the reference's second copy."""
    contenders = (Contender("alpha"), Contender("alpha", True), Contender("beta"))
    logs = {each: noise(seed, 5, 3, 0.01) for seed, each in enumerate(contenders)}
    events = [
        *short_events(logs),
        *seeds_events({"alpha": [(0.3, 0.7), (0.3, 0.6)], "beta": [(0.3, 0.8), (0.3, 0.9)]}),
    ]
    return run_of(events, ["alpha", "beta"])


def plain(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_every_window_of_a_finished_block_is_a_row():
    run = both_kinds()
    rows = list(window_rows(run))
    short = [row for row in rows if not row.long]
    assert len(short) == 5 * 3 * 3
    assert len(rows) - len(short) == 2 * 2 * 10
    assert sum(row.twin for row in rows) == 5 * 3
    assert {row.seed for row in rows if row.long} == {40, 41}
    first = rows[0]
    assert (first.cell, first.group) == (cell("alpha").id, cell("alpha").group)
    assert (first.recipe, first.framework, first.version) == ("lenet-sgd", "alpha", "1.0")
    assert first.examples_per_second == pytest.approx(first.examples / first.wall_seconds)
    assert (first.trained_examples, first.correct_examples) == (5632, 2560)


def test_readings_of_a_gpu_are_columns_of_their_own():
    reading = GpuReading(
        sm_clock_mhz=1410,
        throttle_reasons=("gpu_idle", "sw_power_cap"),
        interval_seconds=0.75,
        energy_joules=90.5,
    )
    row = next(window_rows(on_gpu(both_kinds(), reading)))
    assert (row.gpu_sm_clock_mhz, row.gpu_power_watts) == (1410, None)
    assert row.gpu_throttle_reasons == "gpu_idle sw_power_cap"
    assert (row.gpu_interval_seconds, row.gpu_energy_joules) == (0.75, 90.5)
    assert {f"gpu_{name}" for name in GpuReading.__struct_fields__} <= set(row.__struct_fields__)
    assert next(window_rows(both_kinds())).gpu_throttle_reasons is None


@pytest.mark.parametrize("name", ["failed_cell", "stopped_early"])
def test_windows_of_unfinished_blocks_and_failed_trials_are_no_rows(name):
    run = stored_run(name)
    rows = list(window_rows(run))
    rates = {(rate.cell, rate.twin): rate.blocks for rate in judge(run).rates}
    seen = {key: set() for key in rates}
    for row in rows:
        seen[row.cell, row.twin].add(row.block)
    assert {key: len(blocks) for key, blocks in seen.items()} == rates


def test_a_row_says_whether_its_cell_passed_parity():
    rows = list(window_rows(stored_run("parity_failed")))
    assert {row.framework: row.parity for row in rows} == {
        "alpha": "passed", "beta": "passed", "gamma": "failed",
    }  # fmt: skip


def test_a_window_that_no_clock_can_have_shown_has_no_rate():
    run = both_kinds()
    events = [
        msgspec.structs.replace(event, wall_seconds=0.0)
        if hasattr(event, "wall_seconds")
        else event
        for event in run.events
    ]
    rows = list(window_rows(Run(manifest=run.manifest, events=events)))
    assert rows
    assert {row.examples_per_second for row in rows} == {None}


def test_results_are_those_of_the_judgement():
    run = both_kinds()
    found = results(run)
    assert found.left_out == ()
    assert [each.cell for each in found.of_cells] == [cell("alpha").id, cell("beta").id]
    rates = {rate.cell: rate for rate in judge(run).rates if not rate.twin}
    assert [each.rate for each in found.of_cells] == list(rates.values())
    assert [each.test_accuracies for each in found.of_cells] == [(0.7, 0.6), (0.8, 0.9)]
    assert {each.peak_memory_bytes for each in found.of_cells} == {400_000_000}


def test_a_cell_that_failed_parity_is_left_out_with_the_reason():
    found = results(stored_run("parity_failed"))
    assert [each.cell for each in found.of_cells] == [cell("alpha").id, cell("beta").id]
    assert [(each.cell, each.reason) for each in found.left_out] == [
        (cell("gamma").id, "parity_failed")
    ]


def test_a_cell_that_was_only_trained_has_an_accuracy_and_no_rate():
    run = run_of(long_events({"alpha": (0.3, 0.7)}), ["alpha", "beta"])
    found = results(run)
    assert [(each.cell, each.rate, each.test_accuracies) for each in found.of_cells] == [
        (cell("alpha").id, None, (0.7,))
    ]
    assert [(each.cell, each.reason) for each in found.left_out] == [
        (cell("beta").id, "not_measured")
    ]
    assert bencher_metrics(found).keys() == {cell("alpha").id}
    assert [each.unit for each in github_benchmarks(run.manifest, found)] == ["%"]


@pytest.mark.parametrize("run", [both_kinds(), stored_run("faster"), stored_run("failed_cell")])
def test_bencher_reads_it(run):
    metrics = plain(bencher_metrics(results(run)))
    jsonschema.validate(metrics, BENCHER)
    rates = {rate.cell: rate for rate in judge(run).rates if not rate.twin}
    for name, measures in metrics.items():
        throughput = measures["throughput"]
        assert throughput["value"] == rates[name].examples_per_second
        assert throughput["lower_value"] < throughput["value"] < throughput["upper_value"]


def test_bencher_gets_accuracies_with_their_range_over_seeds():
    metrics = bencher_metrics(results(both_kinds()))[cell("beta").id]["test-accuracy"]
    assert (metrics.value, metrics.lower_value, metrics.upper_value) == (
        pytest.approx(0.85), 0.8, 0.9,
    )  # fmt: skip


@pytest.mark.parametrize("run", [both_kinds(), stored_run("faster"), stored_run("failed_cell")])
def test_github_action_benchmark_reads_it(run):
    benchmarks = github_benchmarks(run.manifest, results(run))
    jsonschema.validate(plain(benchmarks), GITHUB)
    names = [each.name for each in benchmarks]
    assert len(set(names)) == len(names), "a name is what its charts tell series apart by"
    assert all(run.manifest.machine.fingerprint in each.extra for each in benchmarks)


def test_one_block_has_a_rate_without_an_interval():
    run = run_of(short_events({Contender("alpha"): noise(1, 1, 3, 0.01)}), ["alpha"], aa=False)
    found = results(run)
    assert plain(bencher_metrics(found))[cell("alpha").id]["throughput"].keys() == {"value"}
    assert github_benchmarks(run.manifest, found)[0].range == "no interval from one block"
