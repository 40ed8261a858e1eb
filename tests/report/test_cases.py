from __future__ import annotations

import pytest

from harness.analysis.micro_check import Breach, MicroComparison
from harness.analysis.observations import Observations
from harness.analysis.seeds import CellOverSeeds, SeedFailure
from harness.report.cases import Case, micro_cases, run_cases, seeds_cases
from harness.spec.events import Skip
from harness.spec.manifest import Run
from tests.analysis.test_studies import failing, plain

from .micros import micro_of


def problems(cases):
    return [case for case in cases if case.outcome != "passed"]


def test_every_cell_of_a_run_is_measured_and_proved():
    run = Observations(plain())
    cases = list(run_cases(run))
    assert not problems(cases)
    cells = [cell.id for cell in run.manifest.cells]
    assert [(case.subject, case.asked) for case in cases] == [
        (cell, asked) for cell in cells for asked in ("measured", "parity")
    ]


def test_what_failed_is_an_error_and_what_was_left_out_is_skipped():
    run = failing(plain())
    skip = Skip(at=0.0, what="gamma", reason="no wheel for this Python")
    failed, left_out = problems(
        run_cases(Observations(Run(manifest=run.manifest, events=[*run.events, skip])))
    )
    assert (failed.outcome, failed.text) == (
        "error",
        f"{run.manifest.cells[1].id}: training: no memory",
    )
    assert left_out == Case(
        "gamma", "left out", "skipped", "left out", "gamma: no wheel for this Python"
    )


def test_the_first_check_that_failed_says_why_parity_is_lost():
    run = plain(worst={"beta": 1e-3})
    [lost] = problems(run_cases(Observations(run)))
    assert (lost.outcome, lost.title) == ("failure", "parity lost")
    first = next(each for each in Observations(run).held if each.failures)
    assert lost.text == f"{first.cell}: {first.failures[0]}"


@pytest.mark.parametrize("broken", [False, True])
def test_limits_of_micro_benchmarks_are_cases(broken, tell):
    micro = micro_of(tell())
    breach = Breach(
        benchmark="a/test_x", field="median", before_seconds=1.0, now_seconds=1.5,
        limit="median:10%",
    )  # fmt: skip
    comparison = MicroComparison(
        base="earlier",
        compared=2,
        times={"a/test_x": (1.0, 1.5), "a/test_y": (1.0, 1.0)},
        missing=(),
        fresh=(),
        versions=(),
        breaches=(breach,) if broken else (),
    )
    limits = [case for case in micro_cases(micro, comparison) if case.asked == "limits"]
    assert [case.subject for case in limits] == ["a/test_x", "a/test_y"]
    assert [case.text for case in problems(limits)] == (
        ["a/test_x: median is beyond median:10%, 1.50× of before"] if broken else []
    )


def test_seeds_name_the_first_that_failed():
    failed = SeedFailure(seed=7, failures=("loss at step 1: off by 1e-3",))
    result = CellOverSeeds(
        cell="c", precision="float32", seeds=20, proved=19, worst=None, worst_seed=None,
        worst_share=None, failed=(failed,),
    )  # fmt: skip
    [lost, broke] = seeds_cases((result,), {"d": "spawn: no memory"})
    assert lost.text == "c: proved from 19 of 20 seeds; seed 7: loss at step 1: off by 1e-3"
    assert (broke.outcome, broke.text) == ("error", "d: spawn: no memory")
