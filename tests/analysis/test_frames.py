"""Frames: the rows that a run's events make, in the columns that are declared."""

from __future__ import annotations

import math

import msgspec
import pandas as pd
import pytest

from harness.analysis.frames import (
    curves_frame,
    evaluations_frame,
    frame_of,
    parity_frame,
    plain_columns,
    rates_frame,
    trials_frame,
    verdicts_frame,
    windows_frame,
)
from harness.analysis.history import HistoryPoint
from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.spec.events import GpuReading
from harness.spec.exports import WindowRow
from harness.spec.frames import FRAMES, columns
from harness.spec.manifest import Run

from .golden import stored_run
from .runs import both_kinds, cell, on_gpu, run_of

NOTHING = run_of([], ["alpha", "beta"])


def frames(run: Run) -> dict[str, pd.DataFrame]:
    return {
        "windows": windows_frame(Observations(run)),
        "trials": trials_frame(Observations(run)),
        "evaluations": evaluations_frame(Observations(run)),
        "rates": rates_frame(Observations(run)),
        "verdicts": verdicts_frame(Observations(run)),
        "parity": parity_frame(Observations(run)),
        "curves": curves_frame(Observations(run)),
    }


@pytest.mark.parametrize(
    "run", [both_kinds(), stored_run("faster"), stored_run("parity_failed"), NOTHING]
)
def test_a_frame_has_just_the_columns_and_types_that_are_declared(run):
    made = frames(run)
    assert made.keys() == FRAMES.keys()
    for name, frame in made.items():
        found = [(column, str(kind)) for column, kind in frame.dtypes.items()]
        assert found == [(each.name, each.dtype) for each in columns(FRAMES[name])], name


def test_only_optional_columns_lack_values():
    for name, frame in frames(both_kinds()).items():
        assert len(frame), name
        for column in columns(FRAMES[name]):
            assert column.optional or frame[column.name].notna().all(), (name, column.name)


def test_each_time_is_named_by_its_unit():
    names = {column.name for row in FRAMES.values() for column in columns(row)}
    assert not {name for name in names if name.endswith(("_time", "_at", "_memory", "_loss"))} - {
        "examples_per_second_by_total_time", "times_faster_by_total_time",
    }  # fmt: skip


def test_verdicts_and_rates_are_those_of_the_judgement():
    run = stored_run("faster")
    judgement, made = judge(Observations(run)), frames(run)
    for frame, records, names in (
        (made["verdicts"], judgement.verdicts, ("cell", "against", "verdict", "p", "times_faster")),
        (made["rates"], judgement.rates, ("cell", "twin", "blocks", "examples_per_second")),
    ):
        for name in names:
            assert list(frame[name]) == [getattr(each, name) for each in records]
    first = judgement.verdicts[0].interval
    row = made["verdicts"].iloc[0]
    assert (row.times_faster_low, row.times_faster_high) == (first.low, first.high)


def test_trials_and_evaluations_belong_to_the_windows():
    made = frames(both_kinds())
    assert set(made["windows"].trial) == set(made["trials"].trial)
    per_trial = made["windows"].groupby("trial").size()
    assert (made["trials"].set_index("trial").windows == per_trial).all()
    assert set(made["evaluations"].trial) == set(made["trials"][made["trials"].long].trial)
    assert made["trials"].training_seconds.notna().all()
    assert made["trials"].warm_up_seconds.isna().all()


def test_curves_have_a_point_for_each_window_and_each_epoch():
    made = frames(both_kinds())
    curves = made["curves"]
    assert (curves.point == "window").sum() == made["windows"].long.sum()
    ends = curves[curves.point == "epoch"]
    assert list(ends.test_accuracy) == list(made["evaluations"].test_accuracy)
    assert curves[curves.point == "window"].test_accuracy.isna().all()


def test_parity_has_a_row_for_each_time_a_cell_was_held():
    held = frames(stored_run("parity_failed"))["parity"]
    assert list(held.held_by) == ["proof"] * 3
    assert list(held.passed) == [True, True, False]
    assert held.failures.iloc[2] == 1
    assert "loss" in held.failed_checks.iloc[2]
    assert held.tolerance_share_later.iloc[2] > 1


def test_a_history_is_framed_too():
    point = HistoryPoint(
        run="r", created="2026-01-01T00:00:00+00:00", git_commit=None, cell="c", version="1",
        parity="proved", blocks=3, examples_per_second=1.5, control_seconds=0.1,
        normalised_examples_per_second=1.5,
    )  # fmt: skip
    frame = frame_of(HistoryPoint, [point])
    assert frame.change.isna().all()
    assert [str(kind) for kind in frame.dtypes] == [each.dtype for each in columns(HistoryPoint)]


def test_plain_values_are_those_that_went_in():
    frame = windows_frame(Observations(both_kinds()))
    values = dict(zip(WindowRow.__struct_fields__, plain_columns(WindowRow, frame), strict=True))
    kinds = {name: {type(each) for each in own} for name, own in values.items()}
    assert kinds["block"] == {int}
    assert kinds["twin"] == {bool}
    assert kinds["wall_seconds"] == {float}
    assert kinds["cell"] == {str}
    assert kinds["gpu_sm_clock_mhz"] == kinds["frequency_mhz"] == {type(None)}


def test_every_window_of_a_finished_block_is_a_row():
    run = both_kinds()
    rows = list(windows_frame(Observations(run)).itertuples())
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
    row = next(windows_frame(Observations(on_gpu(both_kinds(), reading))).itertuples())
    assert row.gpu_sm_clock_mhz == 1410
    assert math.isnan(row.gpu_power_watts)
    assert row.gpu_throttle_reasons == "gpu_idle sw_power_cap"
    assert (row.gpu_interval_seconds, row.gpu_energy_joules) == (0.75, 90.5)
    assert {f"gpu_{name}" for name in GpuReading.__struct_fields__} <= set(row._fields)
    assert windows_frame(Observations(both_kinds())).gpu_throttle_reasons.isna().all()


@pytest.mark.parametrize("name", ["failed_cell", "stopped_early"])
def test_windows_of_unfinished_blocks_and_failed_trials_are_no_rows(name):
    run = stored_run(name)
    rows = list(windows_frame(Observations(run)).itertuples())
    rates = {(rate.cell, rate.twin): rate.blocks for rate in judge(Observations(run)).rates}
    seen = {key: set() for key in rates}
    for row in rows:
        seen[row.cell, row.twin].add(row.block)
    assert {key: len(blocks) for key, blocks in seen.items()} == rates


def test_a_row_says_whether_its_cell_passed_parity():
    rows = list(windows_frame(Observations(stored_run("parity_failed"))).itertuples())
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
    rows = windows_frame(Observations(Run(manifest=run.manifest, events=events)))
    assert len(rows)
    assert rows.examples_per_second.isna().all()
