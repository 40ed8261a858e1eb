"""Baselines on disk."""

from __future__ import annotations

import json

import pytest

from harness.errors import RecordError, UsageError
from harness.spec.baselines import Baseline, BaselineCell, BaselineValue, TrainedAccuracy
from harness.store.baselines import read_baseline, write_baseline

BASELINE = Baseline(
    cells=(
        BaselineCell(
            series="lenet-sgd/alpha/eager/resident/cpu-2t",
            conditions={"kernel": "6.1"},
            values=(
                BaselineValue(
                    run="r",
                    created="2026-01-01T00:00:00Z",
                    git_commit=None,
                    levelfield="0.1.0",
                    blocks=10,
                    examples_per_second=1.0000000000000002,
                    control_seconds=0.02,
                    accuracies=(TrainedAccuracy(seed=0, epoch=5, test_accuracy=0.7498),),
                ),
            ),
        ),
    )
)


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_baseline(path, BASELINE)
    assert read_baseline(path) == BASELINE
    assert [each.name for each in path.parent.iterdir()] == ["b.json"]


def test_format_1_stays_readable(tmp_path):
    path = tmp_path / "b.json"
    path.write_text(
        '{"format_version":1,"cells":[{"series":"s","conditions":{"kernel":"6.1"},"values":[{"run":'
        '"r","created":"2026-01-01T00:00:00Z","git_commit":null,"levelfield":"0.1.0","blocks":10,'
        '"examples_per_second":9000.5,"control_seconds":0.02,"accuracies":[{"seed":0,"epoch":5,'
        '"test_accuracy":0.75}],"mood":"good"}]}]}'
    )
    [cell] = read_baseline(path).cells
    assert cell.values[0].accuracies[0].test_accuracy == 0.75


def test_an_unknown_version_is_refused_by_name(tmp_path):
    path = tmp_path / "b.json"
    write_baseline(path, BASELINE)
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 9}))
    with pytest.raises(RecordError, match="format version 9, expected 1"):
        read_baseline(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format_version": 1, "cells": 3}'])
def test_what_is_no_baseline_is_refused(tmp_path, content):
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(RecordError, match="is not a baseline"):
        read_baseline(path)


def test_places_that_serve_for_nothing_are_a_clear_line(tmp_path):
    with pytest.raises(UsageError, match=r"No baseline .*levelfield baseline save RUN"):
        read_baseline(tmp_path / "none.json")
    with pytest.raises(RecordError, match="it is a folder, expected a file"):
        read_baseline(tmp_path)
    with pytest.raises(UsageError, match="can't be written"):
        write_baseline(tmp_path, BASELINE)
