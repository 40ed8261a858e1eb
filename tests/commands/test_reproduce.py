"""Whole recipes over several seeds: trained, resumed, reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.spec.events import BlockFinished, Evaluation, TrialStarted
from harness.spec.manifest import Run
from harness.store.runs import read_run

from .conftest import IMPLEMENTATIONS

pytestmark = pytest.mark.frameworks

QUICK = ("--impl-dir", str(IMPLEMENTATIONS), "-f", "quick", "--json")


def long_blocks(run: Run) -> list[int]:
    return [event.block for event in run.events if isinstance(event, BlockFinished) and event.long]


def test_each_seed_is_one_training_of_each_recipe(levelfield, tmp_path):
    done = levelfield(
        "reproduce", "lenet-sgd", "lenet-adam", "--seeds", "2", "--seed", "3", "--epochs", "1",
        "--dataset", "fashion-mnist-20k", "--out", "there", *QUICK,
    )  # fmt: skip
    assert done.returncode == 3, "quick does not compute what it should"
    answer = json.loads(done.stdout)
    assert Path(tmp_path / answer["report"]).exists()
    assert answer["report"].startswith("there/reports/")
    run = read_run(tmp_path / answer["folder"])
    assert [cell.recipe.name for cell in run.manifest.cells] == ["lenet-sgd", "lenet-adam"]
    assert run.manifest.plan.seeds == (3, 4)
    assert sorted(long_blocks(run)) == [0, 0, 1, 1]
    assert all(
        event.long for event in run.events if isinstance(event, TrialStarted | BlockFinished)
    )
    assert len([event for event in run.events if isinstance(event, Evaluation)]) == 4

    again = levelfield("reproduce", "--resume", run.manifest.run, "--out", "there", *QUICK)
    assert again.returncode == 3
    assert json.loads(again.stdout)["folder"] == answer["folder"]
    assert read_run(tmp_path / answer["folder"]).events == run.events
