"""A run against earlier ones: the interval, what is judged, and how often it is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from scipy import stats

from harness.analysis.baselines import RunCell
from harness.analysis.check import LEAST_RUNS, CheckedCell, below_usual, check
from harness.analysis.outcomes import exit_code
from harness.spec.baselines import BaselineCell, BaselineValue, TrainedAccuracy
from harness.spec.gates import GateTerms, Thresholds

from .runs import cell

TERMS = GateTerms(base="b.json")
USUAL = 10_000.0


def value(
    log: float, run: str = "new", *, control: float = 0.02, accuracies: Sequence[float] = ()
) -> BaselineValue:
    """A run whose normalised rate is ``log`` from the usual; its raw one is that of its machine."""
    return BaselineValue(
        run=run,
        created="2026-01-01T00:00:00Z",
        git_commit=None,
        levelfield="0.1.0",
        blocks=10,
        examples_per_second=USUAL * math.exp(log) * 0.02 / control,
        control_seconds=control,
        accuracies=tuple(
            TrainedAccuracy(seed=seed, epoch=5, test_accuracy=each)
            for seed, each in enumerate(accuracies)
        ),
    )


def earlier(
    logs: Sequence[float], framework: str = "alpha", *, accuracy: Sequence[float] = ()
) -> BaselineCell:
    """``accuracy``: of each run, with one seed."""
    return BaselineCell(
        series=cell(framework).series,
        conditions={},
        values=tuple(
            value(log, f"run-{number}", accuracies=accuracy[number : number + 1])
            for number, log in enumerate(logs)
        ),
    )


def now(one: BaselineValue, framework: str = "alpha", parity: str = "proved") -> RunCell:
    of = cell(framework)
    kept = BaselineCell(series=of.series, conditions={}, values=(one,))
    return RunCell(of, parity, kept, "")


def checked(*pairs: tuple[RunCell, BaselineCell], terms: GateTerms = TERMS) -> list[CheckedCell]:
    known = {each.series: each for _, each in pairs}
    return list(check([each for each, _ in pairs], known, terms))


QUIET = [0.0, 0.01, -0.01, 0.005, -0.005, 0.0, 0.008, -0.008, 0.003, -0.003]


def test_the_interval_is_that_of_one_more_observation():
    logs = np.random.RandomState(3).normal(0, 0.03, 12)
    [found] = checked((now(value(-0.05)), earlier(logs)))
    error = logs.std(ddof=1) * math.sqrt(1 + 1 / 12)
    assert found.slowdown == pytest.approx(math.expm1(logs.mean() + 0.05))
    low, high = stats.t(11, scale=error).interval(0.98)
    assert found.usual_from == pytest.approx(math.expm1(low))
    assert found.usual_to == pytest.approx(math.expm1(high))
    assert found.p_adjusted == pytest.approx(stats.t(11).cdf((-0.05 - logs.mean()) / error))
    assert found.earlier_runs == 12


def test_a_slow_machine_is_no_regression():
    busy = value(0.0, control=0.03)
    [found] = checked((now(busy), earlier(QUIET)))
    assert found.speed == "held"
    assert found.slowdown == pytest.approx(0, abs=1e-9)
    assert found.examples_per_second == pytest.approx(USUAL / 1.5)
    assert found.expected_examples_per_second == pytest.approx(USUAL / 1.5)


@pytest.mark.parametrize(
    ("log", "speed"), [(0.0, "held"), (-0.018, "held"), (-0.04, "slower"), (0.2, "held")]
)
def test_a_cell_is_slower_below_the_interval_and_by_more_than_2_percent(log, speed):
    [found] = checked((now(value(log)), earlier(QUIET)))
    assert found.speed == speed


def test_below_the_interval_but_by_less_than_2_percent_is_no_regression():
    still = [each / 100 for each in QUIET]
    [found] = checked((now(value(-0.015)), earlier(still)))
    assert found.p_adjusted < 1e-6
    assert found.speed == "held"
    strict = GateTerms(base="b", cells={cell("alpha").series: Thresholds(slowdown=0.01)})
    [found] = checked((now(value(-0.015)), earlier(still)), terms=strict)
    assert found.speed == "slower"


def test_where_10_percent_would_not_be_seen_it_is_too_noisy():
    noisy = [8 * each for each in QUIET]
    [found] = checked((now(value(0.0)), earlier(noisy)))
    assert found.speed == "too_noisy"
    assert "10%" in found.detail
    assert exit_code([found], strict=False) == 4
    [found] = checked((now(value(-0.6)), earlier(noisy)))
    assert found.speed == "slower", "what is seen is seen"


def test_more_cells_need_more_evidence():
    limit = below_usual(0.0, QUIET, 0.0).half(1 - 0.01)
    barely = -limit * 1.05
    alone = checked((now(value(barely)), earlier(QUIET)))
    among = checked(
        (now(value(barely)), earlier(QUIET)),
        *((now(value(0.0), name), earlier(QUIET, name)) for name in ("beta", "gamma", "delta")),
    )
    assert alone[0].speed == "slower"
    assert among[0].speed == "held"
    assert among[0].p_adjusted == pytest.approx(4 * alone[0].p_adjusted)


def test_fewer_than_10_earlier_runs_judge_nothing():
    [found] = checked((now(value(-0.5)), earlier(QUIET[:9])))
    assert (found.speed, found.earlier_runs, found.slowdown) == ("not_compared", 9, None)
    assert found.detail == f"9 earlier runs, expected {LEAST_RUNS} or more"
    assert exit_code([found], strict=True) == 2


def test_a_saved_run_is_not_in_its_own_past():
    values = earlier([*QUIET, -0.04])
    saved = values.values[-1]
    [found] = checked((now(saved), values))
    assert (found.earlier_runs, found.speed) == (10, "slower")


def test_equal_values_have_no_spread_and_still_an_answer():
    [found] = checked((now(value(0.0)), earlier([0.0] * 10)))
    assert (found.speed, found.p_adjusted, found.slowdown) == ("held", 0.5, 0.0)
    [found] = checked((now(value(-0.03)), earlier([0.0] * 10)))
    assert found.speed == "slower"
    assert found.p_adjusted is not None
    assert 0 < found.p_adjusted < 1e-6, "nothing is certain"


@pytest.mark.parametrize(("accuracy", "word"), [(0.75, "held"), (0.746, "held"), (0.74, "lower")])
def test_accuracy_is_held_against_the_same_seeds(accuracy, word):
    known = earlier(QUIET, accuracy=[0.75] * 10)
    [found] = checked((now(value(0.0, accuracies=[accuracy])), known))
    assert (found.accuracy, found.accuracy_runs) == (word, 10)
    assert found.accuracy_loss == pytest.approx(0.75 - accuracy)
    assert exit_code([found], strict=True) == (1 if word == "lower" else 0)
    assert exit_code([found], strict=False) == 0


def test_accuracies_of_other_seeds_are_not_judged():
    known = earlier(QUIET, accuracy=[0.75] * 10)
    [found] = checked((now(value(0.0, accuracies=[0.1, 0.1])), known))
    assert (found.accuracy, found.accuracy_loss) == ("not_judged", None)


def test_cells_without_numbers_say_why():
    failed = RunCell(cell("alpha"), "proved", None, "import: ImportError")
    lost = RunCell(cell("beta"), "lost", None, "it does not compute what the oracle computes")
    found = checked(
        (failed, earlier(QUIET)),
        (lost, earlier(QUIET, "beta")),
        (now(value(0.0), "gamma"), earlier(QUIET, "gamma")),
    )
    assert [each.speed for each in found] == ["failed", "not_compared", "held"]
    assert found[0].detail == "import: ImportError"
    assert exit_code(found, strict=True) == 3
    assert exit_code([found[0], found[2]], strict=True) == 2


def test_exit_codes_have_an_order():
    [held] = checked((now(value(0.0)), earlier(QUIET)))
    slower, noisy, failed = (
        msgspec.structs.replace(held, speed=speed) for speed in ("slower", "too_noisy", "failed")
    )
    lost = msgspec.structs.replace(held, parity="lost")
    assert exit_code([held], strict=True) == 0
    assert exit_code([held, noisy], strict=True) == 4
    assert exit_code([held, noisy, failed], strict=True) == 2
    assert exit_code([held, noisy, failed, slower], strict=True) == 1
    assert exit_code([held, noisy, failed, slower, lost], strict=True) == 3
    assert exit_code([held, slower], strict=False) == 0
    assert exit_code([held, slower, noisy], strict=False) == 4


@pytest.mark.parametrize("cells", [1, 6])
def test_of_unchanged_runs_at_most_one_in_a_hundred_is_an_alarm(cells):
    """In 4,000 runs of normal noise; the bound is what 40 expected ones stay below in 99.9 %."""
    random = np.random.RandomState(11)
    alarms = 0
    for _ in range(4_000):
        logs = random.normal(0, 0.05, (cells, LEAST_RUNS + 1))
        found = checked(
            *(
                (now(value(row[-1]), f"cell{number}"), earlier(row[:-1], f"cell{number}"))
                for number, row in enumerate(logs)
            )
        )
        alarms += exit_code(found, strict=True) == 1
    assert alarms <= stats.poisson.ppf(0.999, 40)
    assert alarms >= stats.poisson.ppf(0.001, 40 * 0.6), "nor is it much blinder than it says"
