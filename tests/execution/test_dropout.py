"""Cells are held against the oracle under dropout: real workers on a small dense network."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from harness import paths
from harness.analysis.dropout import dropout_verdict, settled
from harness.datasets.weights import initial_weights
from harness.execution.dropout import DRAWS, ORACLE_DRAWS, check_dropout, drops
from harness.spec.recipes import read_models
from impls.definition import Dense, Dropout, Flatten, Model, Relu

SMALL = Model(
    name="small",
    input_shape=(1, 28, 28),
    layers=(
        Flatten(),
        Dense(name="dense1", units=64),
        Relu(),
        Dropout(rate=0.5),
        Dense(name="dense2", units=64),
        Relu(),
        Dropout(rate=0.5),
        Dense(name="dense3", units=10),
    ),
)


@pytest.fixture
def check(contender, tmp_path):
    """What is recorded of a reference, or of a rogue, that computes ``SMALL``."""
    weights = tmp_path / "small.npz"
    np.savez(weights, **initial_weights(SMALL, "xavier", 0))

    def computing_small(name, mode, seed):
        made = contender(name)
        setup = msgspec.structs.replace(made.job.setup, model=SMALL, mode=mode, seed=seed)
        job = msgspec.structs.replace(made.job, setup=setup, weights=str(weights))
        return made._replace(job=job)

    def check(name="reference", mode="eager", seed=1):
        oracle = computing_small("reference", "eager", 0)
        made = computing_small(name, mode, seed)
        return check_dropout(made, oracle, tmp_path / "log", settled)

    return check


def test_dropout_like_the_oracles_passes(check):
    recorded = check()
    result = dropout_verdict(recorded)
    assert result.passed, result.failures
    assert len(recorded.losses) == DRAWS // 2, "half of them settle it"
    assert len(recorded.inference_losses) > 4, "taken between the draws, too"
    assert len(recorded.oracle_losses) == ORACLE_DRAWS
    assert "/reference-1/" in recorded.cell


def test_it_is_the_same_again_from_the_same_seed_and_other_masks_from_another(check):
    one, again, other = check(), check(), check(seed=2)
    assert (one.losses, one.oracle_losses) == (again.losses, again.oracle_losses)
    assert not set(one.losses) & set(other.losses)


@pytest.mark.parametrize(
    ("mode", "clause"),
    [
        ("missing", "1 different loss, expected about 192"),
        ("frozen", "1 different loss, expected about 192"),
        ("rate", "times the oracle's, expected 1"),
        ("inference", "something is dropped there too"),
    ],
)
def test_what_goes_wrong_about_dropout_is_said(check, mode, clause):
    recorded = check("drops", mode)
    result = dropout_verdict(recorded)
    assert not result.passed
    assert len(recorded.losses) == DRAWS
    assert clause in " / ".join(result.failures)


def test_only_models_with_dropout_have_something_to_check():
    models = read_models(paths.BENCHMARKS / "models.toml")
    assert {name for name, model in models.items() if drops(model)} == {
        "alexnet",
        "vgg11-small",
        "nin",
    }
