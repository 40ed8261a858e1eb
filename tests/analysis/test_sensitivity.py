"""What is said of mistakes that were tried from several seeds."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.deviations import FACTOR, WINDOW_END, Exactness, Observation, Quantity, Sums
from harness.analysis.sensitivity import Expected, Tried, granted, place, sensitivities
from harness.spec.proof_events import Deviation

ORACLE = Observation(
    logits=np.ones((2, 10)),
    weights={"dense.bias": np.ones(10)},
    logits_after_step=np.ones((2, 10)),
    losses=[2.0, 1.5, 1.0],
    window=Sums(40.0, 10, 20),
    end={"dense.bias": np.ones(10)},
)
ENVELOPE = {
    Quantity("logits", 0): 1e-6,
    Quantity("weights", 1, "dense.bias"): 1e-4,
    Quantity("logits", 2): 1e-6,
    Quantity("loss", 1): 1e-6,
    Quantity("loss", 2): 1e-6,
    Quantity("loss", 3): 1e-6,
    Quantity("window_loss", WINDOW_END): 1e-6,
    Quantity("weights", WINDOW_END, "dense.bias"): 1e-4,
}
EXPECTED = Expected(ORACLE, ENVELOPE, {}, Exactness(1e-9, 1e-6), 2)


def check(step: int) -> Deviation:
    return Deviation(check="loss", step=step, value=1.0, tolerance=0.1)


def tried(name: str, sizes: tuple[float, ...], caught: int, step: int = 1) -> Tried:
    return Tried(name, sizes, tuple(check(step) for _ in range(caught)))


def test_the_least_size_is_the_one_that_every_seed_catches() -> None:
    sizes = (0.1, 0.01, 0.001)
    seeds = [[tried("rate", sizes, 2, 1)], [tried("rate", sizes, 3, 4)], [tried("rate", sizes, 2)]]
    [found] = sensitivities(seeds)
    assert found.least == 0.01
    assert [(one.size, one.caught) for one in found.sizes] == [(0.1, 3), (0.01, 3), (0.001, 1)]
    assert found.check == "loss of step 1"


def test_what_one_seed_misses_is_not_caught() -> None:
    [found] = sensitivities([[tried("skipped", (1.0,), 1)], [tried("skipped", (1.0,), 0)]])
    assert (found.least, found.check) == (None, "")
    assert found.sizes[0].caught == 1


def test_a_beginning_is_held_against_as_much_of_the_oracle() -> None:
    begun = ORACLE._replace(losses=[2.0], window=None, end={})
    assert EXPECTED.first_failure(begun) is None
    assert EXPECTED.first_failure(ORACLE) is None
    failure = EXPECTED.first_failure(begun._replace(losses=[2.0, 1.6]))
    assert failure is not None and (failure.check, failure.step) == ("loss", 2)
    failure = EXPECTED.first_failure(ORACLE._replace(window=Sums(40.0, 10, 19)))
    assert failure is not None and failure.check == "window_examples"


@pytest.mark.parametrize(("alone", "caught"), [(False, True), (True, False)])
def test_float64_sees_what_float32_grants(alone: bool, caught: bool) -> None:
    off = ORACLE._replace(weights={"dense.bias": np.ones(10) * (1 + 1e-6)})
    assert EXPECTED.first_failure(off) is None
    finer = EXPECTED._replace(finer_envelope=dict.fromkeys(ENVELOPE, 1e-15))
    assert (finer.first_failure(off, float32_alone=alone) is not None) is caught


def test_what_is_granted_ranges_over_seeds_and_is_of_the_widest() -> None:
    wide = {**ENVELOPE, Quantity("weights", 1, "dense.weight"): 5e-3}
    found = {one.check: (one.least, one.most) for one in granted([ENVELOPE, wide])}
    assert found["weights after one step"] == pytest.approx((FACTOR * 1e-4, FACTOR * 5e-3))
    assert found["losses of single steps"] == pytest.approx((FACTOR * 1e-6, FACTOR * 1e-6))
    assert found["weights at the end"] == pytest.approx((FACTOR * 1e-4, FACTOR * 1e-4))


def test_a_check_is_named_with_its_tensor_and_step() -> None:
    weights = Deviation(check="weights", step=1, tensor="conv1.bias", value=1.0, tolerance=0.1)
    assert place(weights) == "weights conv1.bias after step 1"
    window = Deviation(check="window_loss", step=30, value=1.0, tolerance=0.1)
    assert place(window) == "window loss of step 30"
