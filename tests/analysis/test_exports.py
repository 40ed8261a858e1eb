"""Runs in the terms of other tools, held against those tools' own descriptions of their formats."""

from __future__ import annotations

import jsonschema
import msgspec
import pytest

from harness.analysis.exports import bencher_metrics, github_benchmarks, results
from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge

from .golden import stored_run
from .runs import Contender, both_kinds, cell, long_events, noise, run_of, short_events

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


def plain(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_results_are_those_of_the_judgement():
    run = both_kinds()
    found = results(Observations(run))
    assert found.left_out == ()
    assert [each.cell for each in found.of_cells] == [cell("alpha").id, cell("beta").id]
    rates = {rate.cell: rate for rate in judge(Observations(run)).rates if not rate.twin}
    assert [each.rate for each in found.of_cells] == list(rates.values())
    assert [each.test_accuracies for each in found.of_cells] == [(0.7, 0.6), (0.8, 0.9)]
    assert {each.peak_memory_bytes for each in found.of_cells} == {400_000_000}


def test_a_cell_that_failed_parity_is_left_out_with_the_reason():
    found = results(Observations(stored_run("parity_failed")))
    assert [each.cell for each in found.of_cells] == [cell("alpha").id, cell("beta").id]
    assert [(each.cell, each.reason) for each in found.left_out] == [
        (cell("gamma").id, "parity_failed")
    ]


def test_a_cell_that_was_only_trained_has_an_accuracy_and_no_rate():
    run = run_of(long_events({"alpha": (0.3, 0.7)}), ["alpha", "beta"])
    found = results(Observations(run))
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
    metrics = plain(bencher_metrics(results(Observations(run))))
    jsonschema.validate(metrics, BENCHER)
    rates = {rate.cell: rate for rate in judge(Observations(run)).rates if not rate.twin}
    for name, measures in metrics.items():
        throughput = measures["throughput"]
        assert throughput["value"] == rates[name].examples_per_second
        assert throughput["lower_value"] < throughput["value"] < throughput["upper_value"]


def test_bencher_gets_accuracies_with_their_range_over_seeds():
    metrics = bencher_metrics(results(Observations(both_kinds())))[cell("beta").id]["test-accuracy"]
    assert (metrics.value, metrics.lower_value, metrics.upper_value) == (
        pytest.approx(0.85), 0.8, 0.9,
    )  # fmt: skip


@pytest.mark.parametrize("run", [both_kinds(), stored_run("faster"), stored_run("failed_cell")])
def test_github_action_benchmark_reads_it(run):
    benchmarks = github_benchmarks(run.manifest, results(Observations(run)))
    jsonschema.validate(plain(benchmarks), GITHUB)
    names = [each.name for each in benchmarks]
    assert len(set(names)) == len(names), "a name is what its charts tell series apart by"
    assert all(run.manifest.machine.fingerprint in each.extra for each in benchmarks)


def test_one_block_has_a_rate_without_an_interval():
    run = run_of(short_events({Contender("alpha"): noise(1, 1, 3, 0.01)}), ["alpha"], aa=False)
    found = results(Observations(run))
    assert plain(bencher_metrics(found))[cell("alpha").id]["throughput"].keys() == {"value"}
    assert github_benchmarks(run.manifest, found)[0].range == "no interval from one block"
