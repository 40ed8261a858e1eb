from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from harness.analysis.parity import (
    Observation,
    cross_deviations,
    deviations_from_oracle,
    parity_results,
    parity_verdict,
    relative_deviation,
    relative_deviation_of_loss,
)
from harness.spec.events import Deviation, Hashes, Parity

from .runs import HASHES, cell, parity, run_of

LOSSES = [2.4 - step / 100 for step in range(1, 11)]


def observation(scale: float = 1.0) -> Observation:
    return Observation(
        logits=np.linspace(-1, 1, 40).reshape(4, 10) * scale,
        weights={"conv1.weight": np.linspace(1, 2, 24).reshape(2, 3, 4) * scale},
        logits_after_step=np.linspace(-2, 1, 40).reshape(4, 10) * scale,
        losses=[loss * scale for loss in LOSSES],
    )


def verified(*deviations: Deviation) -> Parity:
    return msgspec.structs.replace(parity(cell("alpha")), deviations=deviations)


def test_deviation_of_a_loss_is_relative_to_the_second() -> None:
    assert relative_deviation_of_loss(2.02, 2.0) == pytest.approx(0.01)
    assert relative_deviation_of_loss(0.0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("a", "b"), [(None, 1.0), (1.0, None), (math.nan, 1.0), (math.inf, math.inf), (1.0, 0.0)]
)
def test_a_loss_that_is_not_finite_has_no_deviation(a: float | None, b: float | None) -> None:
    assert relative_deviation_of_loss(a, b) is None


def test_deviation_of_a_tensor_is_that_of_its_norm() -> None:
    assert relative_deviation(np.array([3.0, 4.05]), np.array([3.0, 4.0])) == pytest.approx(0.01)


def test_a_tensor_of_true_zeros_is_measured_against_the_floor() -> None:
    zeros = np.zeros(100)
    assert relative_deviation(zeros + 1e-6, zeros) == pytest.approx(1e-3)


def test_float32_is_compared_in_float64() -> None:
    a = np.full(10, 1.0, dtype=np.float32)
    assert relative_deviation(a, np.full(10, 1.0 + 1e-9)) == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_tensor_that_is_not_finite_has_no_deviation(bad: float) -> None:
    assert relative_deviation(np.array([1.0, bad]), np.ones(2)) is None
    assert relative_deviation(np.ones(2), np.array([1.0, bad])) is None


def test_shapes_are_not_broadcast() -> None:
    assert relative_deviation(np.ones((3, 1)), np.ones(3)) is None


def test_all_checks_are_made_at_their_tolerances() -> None:
    deviations = deviations_from_oracle(observation(1 + 1e-6), observation())
    assert [(each.check, each.step, each.tensor, each.tolerance) for each in deviations] == [
        ("logits", 0, "", 2e-6),
        ("weights", 1, "conv1.weight", 2e-6),
        ("logits", 2, "", 1e-5),
        ("loss", 1, "", 2e-6),
        *(("loss", step, "", 1e-5) for step in range(2, 11)),
    ]
    assert [each.value for each in deviations] == pytest.approx([1e-6] * 13, rel=1e-6)
    assert parity_verdict(verified(*deviations)).passed


def test_a_tensor_that_one_side_lacks_fails() -> None:
    renamed = observation()._replace(weights={"other": np.ones(3)})
    result = parity_verdict(verified(*deviations_from_oracle(renamed, observation())))
    assert [each.split(":")[0] for each in result.failures] == [
        "weights conv1.weight after step 1",
        "weights other after step 1",
    ]


def test_a_loss_that_is_missing_fails() -> None:
    short = observation()._replace(losses=LOSSES[:9])
    result = parity_verdict(verified(*deviations_from_oracle(short, observation())))
    assert result.failures == ("loss at step 10: not a finite number, or of another shape",)
    assert result.worst_at_steps_2_to_10 and result.worst_at_steps_2_to_10.step == 10


def test_running_statistics_that_inference_does_not_use_fail() -> None:
    """Equal statistics prove nothing where the model evaluates with others."""
    batch_statistics = observation()._replace(logits_after_step=observation().logits)
    result = parity_verdict(verified(*deviations_from_oracle(batch_statistics, observation())))
    assert [each.split(":")[0] for each in result.failures] == ["logits before step 2"]


def test_a_recipe_has_its_own_tolerances() -> None:
    cell_, oracle = observation(1 + 3e-5), observation()
    of_lenets = deviations_from_oracle(cell_, oracle)
    assert not parity_verdict(verified(*of_lenets)).passed
    wider = deviations_from_oracle(
        cell_,
        oracle,
        forward_tolerance=6e-5,
        first_step_tolerance=4e-5,
        later_steps_tolerance=5e-5,
    )
    assert {(each.check, each.step): each.tolerance for each in wider[:5]} == {
        ("logits", 0): 6e-5,
        ("weights", 1): 4e-5,
        ("logits", 2): 5e-5,
        ("loss", 1): 6e-5,
        ("loss", 2): 5e-5,
    }
    assert parity_verdict(verified(*wider)).passed


def test_no_tolerance_at_all_is_told_without_a_ratio() -> None:
    nothing = deviations_from_oracle(observation(1 + 1e-6), observation(), forward_tolerance=0)
    result = parity_verdict(verified(*nothing))
    assert result.failures[0].endswith("off by 1.0e-06, and nothing is tolerated")


def test_a_wrong_epsilon_is_named_with_step_and_size() -> None:
    result = parity_verdict(parity(cell("alpha"), worst=6e-4))
    assert not result.passed
    assert result.failures == ("loss at step 5: off by 6.0e-04, 60 times the tolerance of 1e-05",)
    assert result.worst_at_step_1 and result.worst_at_step_1.tensor == "conv1.weight"
    assert result.worst_at_steps_2_to_10 and result.worst_at_steps_2_to_10.value == 6e-4


def test_checks_that_were_not_made_have_not_passed() -> None:
    result = parity_verdict(verified())
    assert not result.passed
    assert result.failures[:4] == (
        "logits of the initial model (step 0): not checked",
        "weights after step 1: not checked",
        "logits before step 2: not checked",
        "loss at step 1: not checked",
    )
    assert len(result.failures) == 13
    assert result.worst_at_step_1 is None


def test_running_statistics_have_to_be_used() -> None:
    usual = parity(cell("alpha")).deviations
    without = [each for each in usual if (each.check, each.step) != ("logits", 2)]
    result = parity_verdict(verified(*without))
    assert result.failures == ("logits before step 2: not checked",)
    assert parity_verdict(verified(*usual)).passed


@pytest.mark.parametrize("name", ["data", "weights", "order"])
def test_other_hashes_fail_by_name(name: str) -> None:
    got = msgspec.structs.replace(HASHES, **{name: "0" * 64})
    result = parity_verdict(msgspec.structs.replace(parity(cell("alpha")), hashes=got))
    expected = getattr(HASHES, name)[:12]
    assert result.failures == (f"hash of {name}: 000000000000, expected {expected}",)


def test_every_verification_of_a_run_is_answered() -> None:
    run = run_of([], ["alpha", "beta"], worst={"beta": 1e-3})
    assert [(each.cell, each.passed) for each in parity_results(run)] == [
        (cell("alpha").id, True),
        (cell("beta").id, False),
    ]


def test_cells_are_compared_with_each_other_from_their_losses() -> None:
    run = run_of([], ["alpha", "beta"])
    events = list(run.events)
    beta = msgspec.structs.replace(
        parity(cell("beta")), losses=tuple(loss * (1 + 1e-6 * i) for i, loss in enumerate(LOSSES))
    )
    events[2] = beta
    (found,) = cross_deviations(msgspec.structs.replace(run, events=events))
    assert (found.cell, found.against) == (cell("beta").id, cell("alpha").id)
    assert found.at_step_1 == pytest.approx(0.0, abs=1e-15)
    assert found.largest_at_steps_2_to_10 == pytest.approx(9e-6)

    other = Hashes(data=HASHES.data, weights="0" * 64, order=HASHES.order)
    events[2] = msgspec.structs.replace(beta, hashes=other)
    (found,) = cross_deviations(msgspec.structs.replace(run, events=events))
    assert found.at_step_1 is None
    assert found.largest_at_steps_2_to_10 is None


def test_where_only_losses_could_be_seen_they_are_the_proof():
    whole = parity(cell("alpha"))
    losses = tuple(each for each in whole.deviations if each.check == "loss")
    alone = msgspec.structs.replace(whole, deviations=losses)
    assert not parity_verdict(alone).passed
    assert parity_verdict(msgspec.structs.replace(alone, losses_alone=True)).passed
    too_few = msgspec.structs.replace(alone, deviations=losses[:9], losses_alone=True)
    assert parity_verdict(too_few).failures == ("loss at step 10: not checked",)
