"""Levels and change points, in series whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from harness.analysis.controlled import ControlledRate
from harness.analysis.history import LEAST_RUNS, RunRate, change_points, levels_of, neighbours


def runs_of(
    logs: Sequence[float], *, control: Sequence[float] = (), lost: Sequence[int] = ()
) -> list[RunRate]:
    """A run a day, of so much rate from 10,000; ``control``: seconds, else always the same."""
    return [
        RunRate(
            run=f"run-{number:03d}",
            created=f"2026-01-{number + 1:02d}T00:00:00Z",
            git_commit=None,
            cell="c",
            version="1.0",
            parity="lost" if number in lost else "proved",
            rate=ControlledRate(
                blocks=10,
                log_rate=math.log(10_000) + log,
                log_control=math.log(control[number] if control else 0.02),
            ),
        )
        for number, log in enumerate(logs)
    ]


def noise(seed: int, count: int, sd: float = 0.02) -> np.ndarray:
    return np.random.RandomState(seed).normal(0, sd, count)


def test_a_change_is_found_where_it_is_and_as_large_as_it_is():
    logs = noise(1, 24)
    logs[14:] += math.log(0.9)
    found = levels_of(runs_of(logs))
    assert [level.first for level in found.levels] == [0, 14]
    assert [level.runs for level in found.levels] == [14, 10]
    changed = [point for point in found.points if point.change is not None]
    assert [point.run for point in changed] == ["run-014"]
    assert changed[0].change == pytest.approx(-0.1, abs=0.03)
    assert changed[0].change == pytest.approx(math.exp(logs[14:].mean() - logs[:14].mean()) - 1)
    assert found.noise == pytest.approx(0.02, rel=0.6)


def test_several_changes_are_found():
    logs = noise(2, 30, 0.01)
    logs[10:20] += 0.1
    assert change_points(logs) == [10, 20]


def test_the_machines_own_speed_is_no_change():
    control = [0.02] * 12 + [0.03] * 12
    logs = noise(3, 24)
    logs[12:] += math.log(0.02 / 0.03)
    found = levels_of(runs_of(logs, control=control))
    assert len(found.levels) == 1
    assert found.points[0].examples_per_second > 1.3 * found.points[-1].examples_per_second
    rates = [point.normalised_examples_per_second for point in found.points]
    assert max(rates) / min(rates) < 1.15


def test_normalised_rates_are_those_at_the_usual_speed():
    found = levels_of(runs_of([0.0] * 3, control=[0.02, 0.03, 0.04]))
    assert [point.normalised_examples_per_second for point in found.points] == pytest.approx(
        [10_000 * 2 / 3, 10_000, 10_000 * 4 / 3]
    )


def test_one_or_two_bad_runs_are_no_new_level():
    logs = noise(4, 30)
    logs[[7, 20, 21]] -= 0.5
    assert change_points(logs) == []


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_bad_runs_at_the_end_are_a_new_level_from_the_third_on(bad):
    logs = noise(4, 30)
    logs[-bad:] -= 0.2
    assert change_points(logs) == ([27] if bad == 3 else [])
    assert change_points(logs[::-1]) == ([3] if bad == 3 else [])


def test_runs_that_lost_parity_are_shown_and_do_not_count():
    logs = noise(5, 30)
    logs[10:14] -= 1.0
    found = levels_of(runs_of(logs, lost=range(10, 14)))
    assert len(found.points) == 30
    assert [level.runs for level in found.levels] == [26]
    logs[14:] -= 0.2
    found = levels_of(runs_of(logs, lost=range(10, 14)))
    assert [(level.first, level.runs) for level in found.levels] == [(0, 10), (14, 16)]
    [(before, after)] = neighbours(found)
    assert (before.run, after.run) == ("run-009", "run-014")


def test_runs_are_put_in_the_order_of_time():
    runs = runs_of(noise(6, 12))
    assert levels_of(runs[::-1]) == levels_of(runs)


def test_too_few_runs_are_one_level():
    logs = [0.0] * 5 + [1.0] * (LEAST_RUNS - 6)
    assert len(logs) == LEAST_RUNS - 1
    assert change_points(logs) == []
    assert [level.runs for level in levels_of(runs_of(logs)).levels] == [LEAST_RUNS - 1]
    assert levels_of([]).points == ()
    one = levels_of(runs_of([0.0]))
    assert (len(one.levels), one.noise) == (1, None)


def test_no_noise_is_no_change():
    assert change_points([0.3] * 20) == []


def test_the_place_of_the_values_does_not_matter():
    logs = noise(7, 40)
    logs[25:] -= 0.1
    assert change_points(logs) == change_points(logs + 1e3) == [25]


@pytest.mark.parametrize(("count", "series"), [(10, 4000), (20, 3000), (50, 2000), (200, 800)])
def test_of_flat_noise_fewer_than_one_series_in_a_hundred_changes(count, series):
    """In independent normal noise; the bound is what 1 % stays below in 99.9 % of such tests."""
    random = np.random.RandomState(8)
    alarms = sum(bool(change_points(random.normal(0, 0.03, count))) for _ in range(series))
    assert alarms <= stats.poisson.ppf(0.999, 0.01 * series)


@pytest.mark.parametrize(
    ("count", "after", "size", "power"),
    [
        (10, 5, 4, 0.68),
        (20, 10, 3, 0.97),
        (50, 25, 2, 0.996),
        (50, 4, 4, 0.997),
        (200, 4, 4, 0.999),
    ],
)
def test_changes_of_so_many_standard_deviations_are_found(count, after, size, power):
    """``after``: runs since the change; ``power``: measured once in 2,000 series."""
    random = np.random.RandomState(9)
    hits = 0
    for _ in range(600):
        values = random.normal(0, 1, count)
        values[-after:] -= size
        hits += bool(change_points(values))
    assert hits / 600 >= power - 3 * math.sqrt(power * (1 - power) / 600) - 0.01
