from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from harness.analysis.deviations import (
    BLUNT,
    CHANCE_TIMES,
    FACTOR,
    ROUNDINGS,
    WINDOW_END,
    Exactness,
    Observation,
    Quantity,
    Sums,
    deviations,
    held,
    is_blunt,
    relative_deviation,
    relative_deviation_of_loss,
    rounding_envelope,
)
from harness.analysis.parity import cross_deviations, parity_results, parity_verdict
from harness.spec.proof_events import Deviation, Hashes, Parity

from .runs import HASHES, cell, parity, run_of

LOSSES = [2.4 - step / 100 for step in range(1, 11)]


def observation(scale: float = 1.0) -> Observation:
    return Observation(
        logits=np.linspace(-1, 1, 40).reshape(4, 10) * scale,
        weights={"conv1.weight": np.linspace(1, 2, 24).reshape(2, 3, 4) * scale},
        logits_after_step=np.linspace(-2, 1, 40).reshape(4, 10) * scale,
        losses=[loss * scale for loss in LOSSES],
    )


def verified(*checks: Deviation) -> Parity:
    return msgspec.structs.replace(parity(cell("alpha")), deviations=checks)


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


def granted(envelope: float = 2e-7) -> dict[Quantity, float]:
    return dict.fromkeys(deviations(observation(), observation()), envelope)


def test_all_checks_are_made_and_each_is_granted_what_rounding_does_to_it() -> None:
    envelope = granted() | {Quantity("loss", 3): 5e-6}
    checks = held(observation(1 + 1e-6), observation(), envelope)
    assert [(each.check, each.step, each.tensor) for each in checks] == [
        ("logits", 0, ""),
        ("weights", 1, "conv1.weight"),
        ("logits", 2, ""),
        *(("loss", step, "") for step in range(1, 11)),
    ]
    assert [each.tolerance for each in checks if each.step != 3] == [FACTOR * 2e-7] * 12
    assert [each.tolerance for each in checks if each.step == 3] == [FACTOR * 5e-6]
    assert [each.value for each in checks] == pytest.approx([1e-6] * 13, rel=1e-6)
    assert parity_verdict(verified(*checks)).passed


def test_several_steps_in_one_call_are_held_with_the_weights_after_them() -> None:
    weights = {"conv1.weight": np.ones(4)}
    oracle = observation()._replace(window=Sums(200.0, 30, 100), end=weights)
    half = oracle._replace(window=Sums(100.0, 15, 50), end={"conv1.weight": np.full(4, 0.9)})
    proof = msgspec.structs.replace(
        verified(*held(half, oracle, granted(), window_steps=4)), window_steps=4
    )
    assert [each.split(":")[0] for each in parity_verdict(proof).failures] == [
        "loss of several steps in one call",
        "hits of several steps in one call",
        "examples of several steps in one call",
        "weights conv1.weight after step 14",
    ]
    fine = msgspec.structs.replace(
        proof, deviations=held(oracle, oracle, granted(), window_steps=4)
    )
    assert parity_verdict(fine).passed
    # A proof that took no steps in one call lacks these checks.
    assert not parity_verdict(msgspec.structs.replace(fine, deviations=fine.deviations[:13])).passed


def test_the_envelope_is_the_most_that_rounding_did() -> None:
    versions = [observation(1 + 1e-6), observation(1 - 3e-6)]
    envelope = rounding_envelope(observation(), versions)
    assert list(envelope.values()) == pytest.approx([3e-6] * 13, rel=1e-6)
    # By chance nothing moved: four roundings all the same.
    assert set(rounding_envelope(observation(), [observation()]).values()) == {ROUNDINGS}


def test_a_later_loss_is_granted_what_an_earlier_one_is() -> None:
    moved = observation()._replace(losses=[LOSSES[0], LOSSES[1] * (1 + 1e-4), *LOSSES[2:]])
    envelope = rounding_envelope(observation(), [moved])
    assert envelope[Quantity("loss", 1)] == ROUNDINGS
    assert envelope[Quantity("loss", 9)] == pytest.approx(1e-4)


def test_where_rounding_moves_much_float32_is_blunt() -> None:
    assert not is_blunt(granted(BLUNT / 2))
    assert is_blunt(granted(BLUNT / 2) | {Quantity("weights", 1, "conv1.weight"): 2 * BLUNT})


def test_a_blunt_envelope_is_widened_as_a_whole() -> None:
    """What one near tie does to the first step is as much luck as what follows."""
    envelope = granted(1e-6) | {Quantity("window_loss", WINDOW_END): 2 * BLUNT}
    checks = held(observation(), observation(), envelope)
    tolerances = [each.tolerance for each in checks]
    assert tolerances == pytest.approx([CHANCE_TIMES * FACTOR * 1e-6] * len(tolerances))


def test_float64_is_granted_its_own_envelope_where_that_is_more() -> None:
    exactness = Exactness(parameters=1e-9, statistics=1e-6)
    envelope = granted(1e-15) | {Quantity("loss", 9): 3e-8}
    checks = held(observation(1 + 1e-8), observation(), envelope, exactness=exactness)
    by_place = {(each.check, each.step): each.tolerance for each in checks}
    assert by_place.pop(("logits", 2)) == 1e-6
    assert by_place.pop(("loss", 9)) == pytest.approx(CHANCE_TIMES * FACTOR * 3e-8)
    assert set(by_place.values()) == {1e-9}
    assert not parity_verdict(verified(*checks)).passed


def test_a_tensor_that_one_side_lacks_fails() -> None:
    renamed = observation()._replace(weights={"other": np.ones(3)})
    result = parity_verdict(verified(*held(renamed, observation(), granted())))
    assert [each.split(":")[0] for each in result.failures] == [
        "weights conv1.weight after step 1",
        "weights other after step 1",
    ]


def test_a_loss_that_is_missing_fails() -> None:
    short = observation()._replace(losses=LOSSES[:9])
    result = parity_verdict(verified(*held(short, observation(), granted())))
    assert result.failures == ("loss at step 10: not a finite number, or of another shape",)
    assert result.worst_at_steps_2_to_10 and result.worst_at_steps_2_to_10.step == 10


def test_running_statistics_that_inference_does_not_use_fail() -> None:
    """Equal statistics prove nothing where the model evaluates with others."""
    batch_statistics = observation()._replace(logits_after_step=observation().logits)
    result = parity_verdict(verified(*held(batch_statistics, observation(), granted())))
    assert [each.split(":")[0] for each in result.failures] == ["logits before step 2"]


def test_no_tolerance_at_all_is_told_without_a_ratio() -> None:
    nothing = Deviation(check="logits", step=0, value=1e-6, tolerance=0)
    result = parity_verdict(verified(nothing))
    assert result.failures[-1].endswith("off by 1.0e-06, and nothing is tolerated")


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
    assert [(each.cell, each.passed) for each in parity_results(run.events)] == [
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
    (found,) = cross_deviations(
        msgspec.structs.replace(run, events=events).manifest.plan.groups,
        msgspec.structs.replace(run, events=events).events,
    )
    assert (found.cell, found.against) == (cell("beta").id, cell("alpha").id)
    assert found.at_step_1 == pytest.approx(0.0, abs=1e-15)
    assert found.largest_at_steps_2_to_10 == pytest.approx(9e-6)

    other = Hashes(data=HASHES.data, weights="0" * 64, order=HASHES.order)
    events[2] = msgspec.structs.replace(beta, hashes=other)
    (found,) = cross_deviations(
        msgspec.structs.replace(run, events=events).manifest.plan.groups,
        msgspec.structs.replace(run, events=events).events,
    )
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
