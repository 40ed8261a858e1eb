"""What the oracle's proofs say together, and that no answer is computed twice or mistaken."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness import paths
from harness.analysis.deviations import ROUNDINGS, SHAKEN_TIMES, Quantity, Sums
from harness.commands import oracle as module
from harness.commands.oracle import Oracle, Versions, trajectory_of
from harness.commands.trajectories import Trajectory, keep_trajectory, read_trajectory
from harness.datasets.order import batch_order
from harness.datasets.weights import initial_weights
from harness.execution.contenders import Contender
from harness.execution.process import WorkerError
from harness.execution.proof import Proof, ProofPlan
from harness.spec.proof_events import Hashes
from harness.spec.recipes import read_models
from harness.worker.wire import Job
from impls.adapter import Adam, Setup, Sgd
from tests.analysis.runs import cell

MODELS = read_models(paths.BENCHMARKS / "models.toml")
PLAN, FURTHER, BATCH = ProofPlan(2, 3), 2, 8
LOSSES = (2.3, 2.2, 2.1, 2.0, 1.9, 1.8, 1.7)
CORRECT = (1, 2, 3, 4, 5, 6, 7)


def proof(factor: float = 1.0, **fields: object) -> Proof:
    """One of the oracle's, whose every number but those in ``fields`` is ``factor`` times as
    large."""
    tensor = np.arange(1.0, 7.0).reshape(2, 3) * factor
    made = Proof(
        logits=tensor,
        weights={"fc.weight": tensor + 1, "fc.bias": tensor[0]},
        logits_after_step=tensor + 2,
        losses=tuple(loss * factor for loss in LOSSES),
        hashes=Hashes(data="d", weights="w", order="o"),
        correct=CORRECT,
        end={"fc.weight": tensor + 3, "fc.bias": tensor[1]},
        last={"fc.weight": tensor + 4, "fc.bias": tensor[1] * 2},
    )
    return made._replace(**fields)


def trajectory(**fields: object) -> Trajectory:
    off = proof(1 + 1e-5, correct=(1, 2, 3, 4, 5, 6, 8))
    return trajectory_of(proof(**fields), Versions([proof(), off]), Versions(), PLAN, BATCH)


def test_single_steps_a_window_and_the_steps_after_it():
    found = trajectory()
    assert found.observation.losses == LOSSES[:2]
    window = found.observation.window
    assert window == Sums(pytest.approx((2.1 + 2.0 + 1.9) * BATCH), 3 + 4 + 5, 3 * BATCH)
    assert found.losses.tolist() == list(LOSSES)
    assert found.correct.tolist() == list(CORRECT)
    assert found.rounded_losses.shape == found.rounded_correct.shape == (2, 7)
    assert found.rounded_correct[:, -1].tolist() == [7, 8]
    np.testing.assert_array_equal(found.last["fc.weight"], proof().last["fc.weight"])
    np.testing.assert_array_equal(found.observation.end["fc.bias"], proof().end["fc.bias"])
    assert found.size_bytes == 3 * (6 + 3) * 8


def test_an_envelope_is_what_rounding_did_at_the_most():
    found = trajectory()
    assert found.envelope[Quantity("loss", 2)] == pytest.approx(1e-5)
    assert found.envelope[Quantity("logits", 0)] == pytest.approx(1e-5)
    assert found.last_envelope["fc.bias"] == pytest.approx(1e-5)
    assert found.finer_envelope == {}
    still = trajectory_of(
        proof(), Versions([proof()]), Versions([], [proof(1 + 1e-15)]), PLAN, BATCH
    )
    assert set(still.envelope.values()) == {ROUNDINGS}
    assert set(still.last_envelope.values()) == {0.0}
    finer = still.finer_envelope[Quantity("loss", 1)]
    assert finer == pytest.approx(1e-15 / SHAKEN_TIMES, rel=0.5)
    shaken = trajectory_of(proof(), Versions([], [proof(1 + 1e-4)]), Versions(), PLAN, BATCH)
    assert shaken.envelope[Quantity("loss", 1)] == pytest.approx(1e-4 / SHAKEN_TIMES)
    moved = shaken.rounded_losses[0] / shaken.losses - 1
    np.testing.assert_allclose(moved, 1e-4 / SHAKEN_TIMES, rtol=1e-6)
    assert shaken.last_envelope["fc.bias"] == pytest.approx(1e-4 / SHAKEN_TIMES)


def test_without_further_steps_the_last_weights_are_those_of_the_proof():
    short = {"losses": LOSSES[:5], "correct": CORRECT[:5], "last": {}}
    found = trajectory_of(proof(**short), Versions([proof(**short)]), Versions(), PLAN, BATCH)
    np.testing.assert_array_equal(found.last["fc.weight"], proof().end["fc.weight"])
    assert found.losses.shape == (5,)


@pytest.mark.parametrize("which", range(3))
def test_an_oracle_that_diverges_says_so(which):
    proofs = [proof() for _ in range(3)]
    proofs[which] = proof(losses=(*LOSSES[:-1], None))
    exact, rounded, finely = proofs
    with pytest.raises(WorkerError, match="the oracle's own loss is not a finite number"):
        trajectory_of(exact, Versions([rounded]), Versions([], [finely]), PLAN, BATCH)


def assert_equal(one: Trajectory, other: Trajectory) -> None:
    for field in ("envelope", "finer_envelope", "last_envelope"):
        assert getattr(one, field) == getattr(other, field)
    for field in ("losses", "correct", "rounded_losses", "rounded_correct"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        assert getattr(one, field).dtype == getattr(other, field).dtype
    assert one.observation.losses == other.observation.losses
    assert one.observation.window == other.observation.window
    groups = [(each.weights, each.end, each.logits, each.logits_after_step)
              for each in (one.observation, other.observation)]  # fmt: skip
    for mine, its in zip((one.last, *groups[0]), (other.last, *groups[1]), strict=True):
        np.testing.assert_equal(its, mine)


@pytest.mark.parametrize("plan", [PLAN, ProofPlan(5, 0)])
def test_what_is_kept_is_read_back(tmp_path, plan):
    float32, float64 = Versions([proof(1 + 1e-6)]), Versions([], [proof(1 + 1e-15)])
    kept = trajectory_of(proof(), float32, float64, plan, BATCH)
    path = tmp_path / "new" / "folder" / "key.npz"
    keep_trajectory(path, kept)
    found = read_trajectory(path)
    assert found is not None
    assert_equal(found, kept)
    assert list(path.parent.iterdir()) == [path]


class Counting(Oracle):
    """Notes what it has to compute, and makes it up."""

    computed = 0

    def _computed(self, oracle: Contender, plan: ProofPlan, further_steps: int) -> Trajectory:
        self.computed += 1
        return trajectory()


@pytest.fixture
def contender(tmp_path: Path) -> Contender:
    np.savez(tmp_path / "weights.npz", **initial_weights(MODELS["lenet"], "xavier", 0))
    np.save(tmp_path / "order.npy", batch_order(0, 2, 100))
    setup = Setup(
        model=MODELS["lenet"],
        optimizer=Sgd(learning_rate=0.9),
        batch_size=BATCH,
        mode="eager",
        device="cpu",
        threads=1,
    )
    job = Job(
        implementation="reference",
        folder=str(paths.IMPLS / "reference"),
        setup=setup,
        data_folder=str(tmp_path),
        weights=str(tmp_path / "weights.npz"),
        order=str(tmp_path / "order.npy"),
    )
    return Contender(cell("reference"), Path(sys.executable), {}, job)


def ask(oracle: Oracle, contender: Contender, **how: object) -> Trajectory:
    usual = {"plan": PLAN, "further_steps": FURTHER, "data_hash": "d" * 64, "code": "c" * 64}
    return oracle.trajectory(contender, **{**usual, **how})


def new(tmp_path: Path) -> Counting:
    """As in another run, with the same cache."""
    return Counting(tmp_path / "logs", tmp_path / "own", tmp_path / "cache")


def test_what_was_computed_once_is_found_again(tmp_path, contender):
    first = new(tmp_path)
    computed = ask(first, contender)
    assert ask(first, contender) is computed
    later = new(tmp_path)
    assert_equal(ask(later, contender), computed)
    assert (first.computed, later.computed) == (1, 0)
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    "content", [b"", b"half", b"no archive", b"other arrays"], ids=lambda each: each.decode()
)
def test_a_torn_or_foreign_file_is_made_anew(tmp_path, contender, content):
    ask(new(tmp_path), contender)
    [path] = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    if content == b"other arrays":
        with path.open("wb") as file:
            np.savez(file, losses=np.zeros(3))
    assert read_trajectory(path) is None
    oracle = new(tmp_path)
    assert_equal(ask(oracle, contender), trajectory())
    assert oracle.computed == 1
    assert read_trajectory(path) is not None


def test_large_answers_are_kept_for_one_run(tmp_path, contender, monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 100)
    ask(new(tmp_path), contender)
    assert not (tmp_path / "cache").exists()
    [path] = (tmp_path / "own").iterdir()
    again = new(tmp_path)
    ask(again, contender)
    assert again.computed == 0
    path.unlink()
    other = new(tmp_path)
    ask(other, contender)
    assert other.computed == 1


def changed(contender: Contender, tmp_path: Path, what: str) -> tuple[Contender, dict[str, object]]:
    """``contender`` and question where ``what`` is another."""
    job, setup = contender.job, contender.job.setup
    other = str(tmp_path / "other.npz")
    match what:
        case "optimizer":
            setup = msgspec.structs.replace(setup, optimizer=Sgd(learning_rate=0.8))
        case "batch size":
            setup = msgspec.structs.replace(setup, batch_size=BATCH + 1)
        case "model":
            setup = msgspec.structs.replace(setup, model=MODELS["lenet-avg"])
        case "weights":
            np.savez(other, **initial_weights(MODELS["lenet"], "xavier", 1))
            job = msgspec.structs.replace(job, weights=other)
        case "order":
            order = batch_order(0, 2, 100)
            order[0, [0, 55]] = order[0, [55, 0]]
            np.save(tmp_path / "other.npy", order)
            job = msgspec.structs.replace(job, order=str(tmp_path / "other.npy"))
        case "order beyond the last step":
            order = batch_order(0, 2, 100)
            order[0, [56, 57]] = order[0, [57, 56]]
            np.save(tmp_path / "other.npy", order)
            job = msgspec.structs.replace(job, order=str(tmp_path / "other.npy"))
        case "version":
            newer = msgspec.structs.replace(contender.cell, version="2.0")
            return contender._replace(cell=newer), {}
        case "formulas":
            setup = msgspec.structs.replace(
                setup,
                adam_formula="epsilon-hat",
                momentum_formula="rate-inside",
                variance_formula="unbiased",
            )
        case "threads":
            setup = msgspec.structs.replace(setup, threads=2)
        case "place":
            moved = tmp_path / "moved.npz"
            moved.write_bytes(Path(job.weights).read_bytes())
            job = msgspec.structs.replace(job, weights=str(moved))
        case "data":
            return contender, {"data_hash": "e" * 64}
        case "code":
            return contender, {"code": "e" * 64}
        case "steps":
            return contender, {"plan": ProofPlan(3, 2)}
        case "further steps":
            return contender, {"further_steps": FURTHER + 1}
    return contender._replace(job=msgspec.structs.replace(job, setup=setup)), {}


@pytest.mark.parametrize("what", [
    "optimizer", "batch size", "model", "weights", "order", "version", "data", "code", "steps",
    "further steps",
])  # fmt: skip
def test_another_question_has_another_answer(tmp_path, contender, what):
    oracle = new(tmp_path)
    ask(oracle, contender)
    other, how = changed(contender, tmp_path, what)
    ask(oracle, other, **how)
    assert oracle.computed == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("what", ["formulas", "threads", "place", "order beyond the last step"])
def test_what_the_answer_does_not_hang_on_changes_nothing(tmp_path, contender, what):
    oracle = new(tmp_path)
    ask(oracle, contender)
    other, how = changed(contender, tmp_path, what)
    ask(oracle, other, **how)
    assert oracle.computed == 1


@pytest.mark.parametrize(
    ("optimizer", "model", "matters"),
    [
        (Sgd(learning_rate=0.9), "lenet", set()),
        (Sgd(learning_rate=0.9, momentum=0.5), "lenet", {"momentum_formula"}),
        (Adam(learning_rate=0.1, beta1=0.9, beta2=0.99, epsilon=1e-8), "lenet", {"adam_formula"}),
        (Sgd(learning_rate=0.9), "lenet-bn", {"variance_formula"}),
    ],
)
def test_a_formula_matters_where_it_is_used(contender, optimizer, model, matters):
    setup = msgspec.structs.replace(contender.job.setup, optimizer=optimizer, model=MODELS[model])
    others = {
        "adam_formula": "epsilon-hat",
        "momentum_formula": "rate-inside",
        "variance_formula": "unbiased",
    }
    usual = module.formulas_that_matter(setup)
    found = {
        name
        for name, other in others.items()
        if module.formulas_that_matter(msgspec.structs.replace(setup, **{name: other})) != usual
    }
    assert found == matters
