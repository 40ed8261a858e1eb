"""What a proof asks of a worker, and that it leaves nothing behind in it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.datasets.arrays import digest_of_order, digest_of_weights
from harness.datasets.order import batch_order
from harness.execution.contenders import Contender, started_worker
from harness.execution.process import WorkerError
from harness.execution.proof import (
    AFFORDABLE_FLOPS,
    FEWEST_IN_ONE_CALL,
    FEWEST_STEPS,
    PROOF_STEPS,
    Proof,
    ProofPlan,
    ask_proof,
    proof_job,
    proof_plan,
    prove_command,
    started_oracle,
    take_proof,
)
from harness.worker.wire import Finished, Job, Loader, Ready, Train, Trained
from impls.definition import Dropout
from tests.analysis.runs import BATCH

PLAN = ProofPlan(3, 4)
BATCH_SIZE, EXAMPLES = 8, 100
"""Of the contenders that ``conftest`` makes."""


def plan(affordable: float, window_steps: int) -> ProofPlan:
    """Of a model of which the oracle can afford so many steps."""
    flops = AFFORDABLE_FLOPS / affordable / BATCH
    return proof_plan(BATCH, SimpleNamespace(training_flops=lambda: flops), window_steps)


@pytest.mark.parametrize(
    ("affordable", "window_steps", "expected"),
    [
        (1e4, 20, (10, 20)),
        (1e4, 1, (10, 1)),
        (1e4, 0, (10, 0)),
        (30.5, 20, (10, 20)),
        (25.5, 20, (10, 15)),
        (14.5, 20, (10, 4)),
        (9.5, 20, (5, 4)),
        (6.5, 20, (2, 4)),
        (0.1, 20, (2, 4)),
        (0.1, 3, (2, 3)),
        (5.5, 1, (4, 1)),
    ],
)
def test_as_many_steps_as_the_oracle_can_afford(affordable, window_steps, expected):
    assert plan(affordable, window_steps)[:2] == expected


@pytest.mark.parametrize(
    ("batches", "expected"), [(40, (10, 20)), (30, (10, 20)), (29, (9, 20)), (22, (2, 20))]
)
def test_a_proof_stays_in_the_epoch_that_a_trials_first_window_stays_in(batches, expected):
    """It would go on with other batches than the trial, which takes 22 at once."""
    cheap = SimpleNamespace(training_flops=lambda: 1.0)
    assert proof_plan(BATCH, cheap, 20, batches * BATCH + 3)[:2] == expected


@given(st.floats(0.01, 1e4), st.integers(0, 300))
def test_a_plan_is_as_long_as_it_may_be_property(affordable, window_steps):
    steps, window, _ = plan(affordable, window_steps)
    assert FEWEST_STEPS <= steps <= PROOF_STEPS
    assert min(FEWEST_IN_ONE_CALL, window_steps) <= window <= window_steps
    least = (FEWEST_STEPS, min(FEWEST_IN_ONE_CALL, window_steps))
    assert steps + window <= affordable or (steps, window) == least
    if affordable >= PROOF_STEPS + window_steps + 1:
        assert (steps, window) == (PROOF_STEPS, window_steps)


def test_a_proof_is_the_trials_own_job_but_for_dropout(contender):
    of = contender()
    loader = Loader(data_folder="elsewhere", workers=2)
    job = msgspec.structs.replace(of.job, loader=loader)
    found = proof_job(of._replace(job=job))
    assert (found.setup.dropout, of.job.setup.dropout) == (False, True)
    assert found.loader is None
    setup = msgspec.structs.replace(found.setup, dropout=True)
    assert msgspec.structs.replace(found, setup=setup) == of.job
    assert prove_command(of, PLAN).batch_size == BATCH_SIZE


def taken(proof: Proof) -> list[float]:
    return [*proof.losses, proof.window.loss_sum]


def test_a_proof_has_all_that_parity_compares(contender, tmp_path):
    of = contender()
    proof = take_proof(of, PLAN, tmp_path / "log")
    with np.load(of.job.weights) as archive:
        initial = {name: archive[name] for name in archive.files}
    assert proof.logits.shape == proof.logits_after_step.shape == (BATCH_SIZE, 10)
    assert (proof.logits != proof.logits_after_step).any()
    assert len(proof.losses) == len(proof.correct) == PLAN.steps
    assert (proof.window.examples, proof.losses_alone) == (PLAN.window_steps * BATCH_SIZE, False)
    assert list(proof.weights) == list(proof.end) == list(initial)
    assert proof.last == {}
    steps = PLAN.steps + PLAN.window_steps
    order = batch_order(0, 2, EXAMPLES)[0][: steps * BATCH_SIZE]
    assert proof.hashes.order == digest_of_order(order)
    assert proof.hashes.weights == digest_of_weights(initial)
    digests = {digest_of_weights(each) for each in (initial, proof.weights, proof.end)}
    assert len(digests) == 3


def test_the_steps_of_a_window_come_from_one_epoch(contender, tmp_path):
    """Twelve batches are an epoch: after ten of them, four more come from the next."""
    proof = take_proof(contender(), ProofPlan(10, 4), tmp_path / "log")
    order = batch_order(0, 2, EXAMPLES)
    taken = np.concatenate([order[0][: 10 * BATCH_SIZE], order[1][: 4 * BATCH_SIZE]])
    assert proof.hashes.order == digest_of_order(taken)


def trained(of: Contender, folder: Path, *, proved: bool) -> tuple[list[Trained], Finished]:
    """Two windows of a worker, which was proved before or not."""
    with started_worker(of, folder / "log") as process:
        process.greet()
        process.ask(of.job, Ready, "import")
        if proved:
            ask_proof(process, of.job.setup.model, prove_command(of, PLAN))
        window = Train(lead_in=1, steps=2)
        windows = [process.ask(window, Trained, "training") for _ in range(2)]
        return windows, process.finish()


@pytest.mark.parametrize("recipe", ["lenet-sgd", "lenet-adam"])
def test_a_proof_leaves_nothing_behind_in_the_worker_that_is_timed(contender, tmp_path, recipe):
    of = contender(recipe=recipe)
    plain, plain_end = trained(of, tmp_path, proved=False)
    proved, proved_end = trained(of, tmp_path, proved=True)
    for one, other in zip(plain, proved, strict=True):
        for field in ("first_step", "loss_sum", "correct", "trained_examples",
                      "weights_before", "weights_after"):  # fmt: skip
            assert getattr(one, field) == getattr(other, field), field
    assert (proved_end.steps, proved_end.order_hash) == (plain_end.steps, plain_end.order_hash)


def with_dropout(job: Job) -> Job:
    model = job.setup.model
    layers = (*model.layers[:-1], Dropout(rate=0.5), model.layers[-1])
    model = msgspec.structs.replace(model, layers=layers)
    return msgspec.structs.replace(job, setup=msgspec.structs.replace(job.setup, model=model))


def test_dropout_is_off_in_a_proof_and_nowhere_else(contender, tmp_path):
    plain = contender()
    dropping = plain._replace(job=with_dropout(plain.job))
    proofs = [take_proof(each, PLAN, tmp_path / "log") for each in (plain, dropping)]
    assert taken(proofs[0]) == taken(proofs[1])
    timed = [trained(each, tmp_path, proved=False)[0] for each in (plain, dropping)]
    assert timed[0][0].loss_sum != timed[1][0].loss_sum


def test_the_oracles_further_steps_go_on_one_by_one(contender, tmp_path):
    """Step by step or in one call: the same losses, the same weights."""
    of = contender()
    plan = prove_command(of, PLAN)
    singly = msgspec.structs.replace(plan, singly=True, further_steps=2)
    with started_oracle(of, tmp_path / "log") as process:
        one, other = (ask_proof(process, of.job.setup.model, each) for each in (plan, singly))
        process.finish()
    assert (len(one.losses), len(other.losses), other.window) == (3, 9, None)
    assert other.losses[:3] == one.losses
    assert sum(other.losses[3:7]) * BATCH_SIZE == pytest.approx(one.window.loss_sum, rel=1e-12)
    assert sum(other.correct[3:7]) == one.window.correct
    assert digest_of_weights(one.end) == digest_of_weights(other.end)
    assert digest_of_weights(other.last) != digest_of_weights(other.end)


def test_an_oracle_that_can_not_be_built_leaves_no_worker(contender, tmp_path):
    before = psutil.Process().children()
    with pytest.raises(WorkerError, match="no mode 'eager' here"):
        started_oracle(contender("raises"), tmp_path / "log")
    assert psutil.Process().children() == before
