"""What a run is going to do, said beforehand."""

from __future__ import annotations

import json

import pytest

from harness.commands.outlook import outlook
from harness.environments.machine import default_threads
from harness.store import durations as store
from tests.analysis import runs

pytestmark = pytest.mark.heavy


def test_a_dry_run_says_the_plan_and_leaves_nothing(levelfield, tmp_path):
    done = levelfield("run", "cpu", "--dry-run", "-r", "lenet-sgd", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].endswith("pytorch eager, gluon compiled, keras compiled")
    assert "to be made: the environment of pytorch" in said
    assert (
        "1 group of 3 contenders and a second copy: 1 whole training each, up to 20 blocks." in said
    )
    assert said[-1] == (
        "How long that takes is not known on this machine yet. Nothing was measured."
    )
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "levelfield").exists()


def test_its_groups_are_those_of_the_run_itself(levelfield):
    """Else nothing that was kept of such blocks would be found."""
    done = levelfield("run", "smoke", "--dry-run", "--json", "--threads", "1")
    assert json.loads(done.stdout)["groups"][0]["group"].endswith("/resident/cpu-1t")
    done = levelfield("run", "smoke", "--dry-run", "--json")
    threads = default_threads()
    assert json.loads(done.stdout)["groups"][0]["group"].endswith(f"/resident/cpu-{threads}t")


def test_a_dry_run_in_json(levelfield):
    done = levelfield("run", "smoke", "--dry-run", "--json", "--no-aa")
    answer = json.loads(done.stdout)
    assert (answer["looks"], answer["trainings"], answer["second_copy"]) == ([1], 1, False)
    [group] = answer["groups"]
    assert len(group["contenders"]) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--dry-run", "--resume", "latest"], "--dry-run and --resume"),
        (["compare", "a", "b", "--dry-run"], "stored runs"),
        (["run", "nothing", "--dry-run"], "No suite 'nothing'"),
    ],
)
def test_what_makes_no_sense_is_one_line(levelfield, arguments, words):
    done = levelfield(*arguments)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert words in line


def test_a_known_kind_is_foretold(monkeypatch):
    monkeypatch.setattr("harness.commands.outlook.read_durations", lambda machine: {})
    manifest = runs.both_kinds().manifest
    assert outlook(manifest).endswith("is not known on this machine yet.")
    known = store.GroupDurations(short_seconds=60.0, epoch_seconds=6.0)

    class Every(dict):
        def get(self, kind, default=None):
            return known

    monkeypatch.setattr("harness.commands.outlook.read_durations", lambda machine: Every())
    assert "as such blocks took here" in outlook(manifest)
