"""What an earlier run has proved is taken over, and only where nothing has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness import paths
from harness.commands.kept_proofs import KeptProofs
from harness.execution.proof import ProofPlan
from harness.spec.proof_events import Parity
from harness.store.runs import read_run
from tests.analysis import runs
from tests.saboteurs.shared_cache import shared_cache

PLAN = ProofPlan(10, 0)
CELL = runs.cell("torch")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A place for the proofs of one cell, whatever they depend on."""
    monkeypatch.setattr(KeptProofs, "_path", lambda self, cell, plan: tmp_path / "cell.json")

    def of(*, fresh: bool = False) -> KeptProofs:
        run = runs.run_of([CELL], [])
        manifest = run.manifest
        plan = type(manifest.plan)(**{**_fields(manifest.plan), "fresh": fresh})
        return KeptProofs(type(manifest)(**{**_fields(manifest), "plan": plan}), None, tmp_path)

    return of


def _fields(struct) -> dict:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_proof_that_passed_is_found_again_with_its_day(kept):
    proof = runs.parity(CELL)
    assert kept().of(CELL, PLAN, 9.0) == ()
    kept().keep(CELL, PLAN, [proof])
    [again] = kept().of(CELL, PLAN, 9.0)
    assert (again.at, again.proved_at) == (9.0, proof.at)
    assert again.deviations == proof.deviations
    assert kept(fresh=True).of(CELL, PLAN, 9.0) == ()


def test_one_that_failed_is_not_kept(kept):
    kept().keep(CELL, PLAN, [runs.parity(CELL), runs.parity(CELL, worst=1.0)])
    assert kept().of(CELL, PLAN, 9.0) == ()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'[{"event": "parity"}]', b"\xff" * 99])
def test_a_damaged_one_is_none(kept, tmp_path, content):
    (tmp_path / "cell.json").write_bytes(content)
    assert kept().of(CELL, PLAN, 9.0) == ()


def test_that_of_another_cell_or_one_that_fails_is_none(kept, tmp_path):
    kept().keep(CELL, PLAN, [runs.parity(CELL)])
    path = tmp_path / "cell.json"
    good = json.loads(path.read_bytes())
    for changed in (
        {"cell": "another"},
        {"deviations": [{**good[0]["deviations"][0], "value": 1}]},
    ):
        path.write_text(json.dumps([{**good[0], **changed}]))
        assert kept().of(CELL, PLAN, 9.0) == ()


@pytest.mark.frameworks
def test_a_second_run_takes_it_over_until_something_changes(levelfield, tmp_path):
    cache = shared_cache(tmp_path / "cache")
    own = tmp_path / "own" / "pytorch_again"
    shutil.copytree(paths.IMPLS / "pytorch", own)

    def proofs(*arguments: str) -> list[Parity]:
        done = levelfield(
            *("verify", "-r", "lenet-sgd", "--impl-dir", str(own.parent), "-f", own.name),
            *("--json", *arguments),
            XDG_CACHE_HOME=str(cache),
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
