"""What an earlier run has proved is taken over, and only where nothing has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from harness import paths
from harness.commands.kept import Kept, TrialEvent
from harness.execution.proof import ProofPlan
from harness.spec.cells import Cell
from harness.spec.events import TrialFinished, TrialStarted
from harness.spec.machine import Environment
from harness.spec.proof_events import Audit, AuditCheck, Parity
from harness.store.runs import read_run
from tests.analysis import runs

PLAN = ProofPlan(10, 0)
CELL = runs.cell("torch")
ENVIRONMENT = Environment(
    framework="torch", key="k", python="3.11.2", version="1.0", packages={"torch": "1.0"}
)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A place for the proofs of one cell, whatever they depend on."""
    monkeypatch.setattr(Kept, "_environment", lambda self, cell: ENVIRONMENT)
    monkeypatch.setattr(Kept, "_training_path", lambda self, cell, seed: tmp_path / "cell.json")
    monkeypatch.setattr(Kept, "_proof_path", lambda self, cell, plan: tmp_path / "cell.json")

    def of(*, fresh: bool = False) -> Kept:
        run = runs.run_of([CELL], [])
        manifest = run.manifest
        plan = type(manifest.plan)(**{**_fields(manifest.plan), "fresh": fresh})
        return Kept(type(manifest)(**{**_fields(manifest), "plan": plan}), None, tmp_path)

    return of


def _fields(struct) -> dict:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_proof_that_passed_is_found_again_with_its_day(kept):
    proof = runs.parity(CELL)
    assert kept().proof(CELL, PLAN, 9.0) == ()
    kept().keep_proof(CELL, PLAN, [proof])
    [again] = kept().proof(CELL, PLAN, 9.0)
    assert (again.at, again.proved_at) == (9.0, proof.at)
    assert again.deviations == proof.deviations
    assert kept(fresh=True).proof(CELL, PLAN, 9.0) == ()


def test_nothing_is_kept_of_an_interpreter_that_was_there_already(kept, monkeypatch, tmp_path):
    """Another build may stand there under the same version."""
    kept().keep_proof(CELL, PLAN, [runs.parity(CELL)])
    kept().keep_training(CELL, 4, training(CELL, 4))
    given = msgspec.structs.replace(ENVIRONMENT, interpreter="/a/python")
    monkeypatch.setattr(Kept, "_environment", lambda self, cell: given)
    assert kept().proof(CELL, PLAN, 9.0) == ()
    assert kept().training(CELL, 4, 2, 30) == ()
    (tmp_path / "cell.json").unlink()
    kept().keep_proof(CELL, PLAN, [runs.parity(CELL)])
    assert not (tmp_path / "cell.json").exists()


def test_one_that_failed_is_not_kept(kept):
    kept().keep_proof(CELL, PLAN, [runs.parity(CELL), runs.parity(CELL, worst=1.0)])
    assert kept().proof(CELL, PLAN, 9.0) == ()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'[{"event": "parity"}]', b"\xff" * 99])
def test_a_damaged_one_is_none(kept, tmp_path, content):
    (tmp_path / "cell.json").write_bytes(content)
    assert kept().proof(CELL, PLAN, 9.0) == ()


def test_one_that_no_longer_passes_is_none(kept, tmp_path):
    kept().keep_proof(CELL, PLAN, [runs.parity(CELL)])
    path = tmp_path / "cell.json"
    [good] = json.loads(path.read_bytes())
    path.write_text(json.dumps([{**good, "deviations": [{**good["deviations"][0], "value": 1}]}]))
    assert kept().proof(CELL, PLAN, 9.0) == ()


def training(cell: Cell, seed: int, *, passed: bool = True) -> list[TrialEvent]:
    """The events of a long trial, with its audit."""
    events = runs.long_events({"torch": [0.7] * cell.recipe.epochs}, first_trial=7, seed=seed)
    check = AuditCheck(name="loss", window=0, seen=1.0, lowest=0.0, highest=2.0 if passed else 0.5)
    audit = Audit(at=1.0, trial=7, cell="of another revision", checks=(check,), held_steps=9)
    return [each for each in (*events, audit) if isinstance(each, TrialEvent)]


def test_a_training_is_found_again_as_a_trial_of_this_run(kept):
    events = training(CELL, 4)
    assert kept().training(CELL, 4, 2, 30) == ()
    kept().keep_training(CELL, 4, events)
    again = kept().training(CELL, 4, 2, 30)
    assert {each.trial for each in again} == {30}
    [started] = [each for each in again if isinstance(each, TrialStarted)]
    assert (started.cell, started.block, started.trained_at) == (CELL.id, 2, 0.0)
    [audit] = [each for each in again if isinstance(each, Audit)]
    assert audit.cell == CELL.id
    assert len(again) == len(events)
    assert kept(fresh=True).training(CELL, 4, 2, 30) == ()


@pytest.mark.parametrize(
    "of",
    [
        lambda: training(CELL, 4, passed=False),
        lambda: training(CELL, 5),
        lambda: training(CELL, 4)[:-1],
        lambda: [each for each in training(CELL, 4) if not isinstance(each, TrialFinished)],
        lambda: [each for each in training(CELL, 4) if getattr(each, "epoch", 0) != 1],
        lambda: training(CELL, 4) * 2,
    ],
    ids=["audit failed", "other seed", "no audit", "no end", "an epoch lacks", "twice"],
)
def test_what_is_no_whole_training_is_not_kept(kept, of):
    kept().keep_training(CELL, 4, of())
    assert kept().training(CELL, 4, 2, 30) == ()


@pytest.mark.frameworks
def test_a_second_run_takes_it_over_until_something_changes(levelfield, tmp_path, own_cache):
    own = tmp_path / "own" / "pytorch_again"
    shutil.copytree(paths.IMPLS / "pytorch", own)

    def proofs(*arguments: str) -> list[Parity]:
        done = levelfield(
            *("verify", "-r", "lenet-sgd", "--impl-dir", str(own.parent), "-f", own.name),
            *("--json", *arguments),
            XDG_CACHE_HOME=own_cache,
        )
        assert done.returncode == 0, done.stderr
        folder = Path(tmp_path / json.loads(done.stdout)["folder"])
        return [one for one in read_run(folder).events if isinstance(one, Parity)]

    first, second = proofs(), proofs()
    assert [one.proved_at for one in first] == [None] * len(first)
    assert [one.proved_at for one in second] == [one.at for one in first]
    assert [one.deviations for one in second] == [one.deviations for one in first]
    assert all(one.proved_at is None for one in proofs("--fresh", "--mode", "eager"))
    assert all(one.proved_at is None for one in proofs("--seed", "1", "--mode", "eager"))
    with (own / "adapter.py").open("a") as file:
        file.write("\n# another version\n")
    assert all(one.proved_at is None for one in proofs("--mode", "eager"))
