"""What the check of dropout finds, and how seldom it is wrong, on a small dense network.

Draws come from the oracle itself, with fixed seeds; a mistake is made in the model, in the weights
or in the generator of the masks.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.analysis.dropout import (
    ERROR_RATE,
    LEVELS,
    DropoutResult,
    dropout_verdict,
    mean_p_value,
    settled,
    spread_p_value,
)
from harness.datasets.weights import initial_weights
from harness.execution.dropout import COPIES, DRAWS, ORACLE_DRAWS
from harness.spec.proof_events import DropoutCheck
from impls.adapter import Setup, Sgd
from impls.definition import Dense, Dropout, Flatten, Model, Relu
from impls.reference.adapter import ReferenceAdapter

pytestmark = pytest.mark.heavy

CHECKS = 300
"""Of each mistake; 99 % of them are to be found."""
LAYERS = (
    Flatten(),
    Dense(name="dense1", units=128),
    Relu(),
    Dropout(rate=0.5),
    Dense(name="dense2", units=128),
    Relu(),
    Dropout(rate=0.5),
    Dense(name="dense3", units=10),
)


def model(*rates: float) -> Model:
    """The network with these rates in place of its own."""
    left = list(rates)
    layers = [Dropout(rate=left.pop(0)) if isinstance(one, Dropout) else one for one in LAYERS]
    return Model(name="small", input_shape=(1, 12, 12), layers=tuple(layers))


WEIGHTS = initial_weights(model(0.5, 0.5), "xavier", 2)
"""Without its first dropout this network has 0.44 of the variance, as AlexNet in a bad seed."""
IMAGE = np.random.RandomState(4).rand(1, 1, 12, 12).astype(np.float32)
LABEL = np.array([3])


class OneMaskForAll:
    """A generator whose masks are alike for all copies of a batch."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(7)

    def random(self, shape):
        masks = self._generator.random((shape[0] // COPIES, *shape[1:]))
        return np.repeat(masks, COPIES, axis=0)


def drawn(
    checks: int,
    draws: int,
    *,
    rates: tuple[float, float] = (0.5, 0.5),
    scale: float = 1.0,
    seed: int = 5,
    masks: object = None,
) -> NDArray[np.float64]:
    """(checks, draws) losses of a batch of copies; ``scale``: of what comes after each dropout."""
    setup = Setup(
        model=model(*rates),
        optimizer=Sgd(learning_rate=0.0),
        batch_size=COPIES,
        mode="eager",
        device="cpu",
        threads=1,
        seed=seed,
    )
    adapter = ReferenceAdapter(setup)
    adapter.load_weights(
        {
            name: weights * (scale if name in {"dense2.weight", "dense3.weight"} else 1)
            for name, weights in WEIGHTS.items()
        }
    )
    if masks is not None:
        adapter._masks = masks
    images, labels = np.repeat(IMAGE, COPIES, axis=0), np.repeat(LABEL, COPIES)
    return adapter.training_losses(images, labels, checks * draws).reshape(checks, draws)


ORACLE = drawn(1, ORACLE_DRAWS, seed=6)[0]
HONEST = drawn(400, DRAWS)
INFERENCE = float(drawn(1, 1, rates=(0.0, 0.0))[0, 0])


def check(losses, inference=(INFERENCE,) * 4, oracle=ORACLE) -> DropoutCheck:
    return DropoutCheck(
        at=0.0,
        cell="cell",
        copies=COPIES,
        losses=tuple(losses),
        oracle_losses=tuple(oracle),
        inference_losses=tuple(inference),
        oracle_inference_loss=INFERENCE,
    )


def judged(losses: NDArray[np.float64]) -> DropoutResult:
    """The verdict on a cell: on its first losses where they settle it, else on all."""
    half = check(losses[: DRAWS // 2])
    return dropout_verdict(half if settled(half) else check(losses))


def test_honest_dropout_passes_each_time_and_is_mostly_settled_by_half():
    assert not [losses for losses in HONEST if not judged(losses).passed]
    assert np.mean([settled(check(losses[: DRAWS // 2])) for losses in HONEST]) > 0.8


@pytest.mark.parametrize("name", list(LEVELS))
def test_a_p_value_is_below_a_level_as_often_as_the_level_says(name):
    """Held at 1 and 5 %, where some hundred checks can tell."""
    values = np.array([dropout_verdict(check(losses)).p_values[name] for losses in HONEST])
    for level in (0.01, 0.05):
        # The draws of the oracle are the same in all, which adds to the spread of the share.
        assert np.mean(values < level) <= 2 * level


def test_the_levels_add_up_to_the_error_rate():
    assert sum(LEVELS.values()) == pytest.approx(ERROR_RATE)
    assert ERROR_RATE <= 1e-4


@pytest.mark.parametrize(
    ("clause", "changes"),
    [
        ("variance", {"rates": (0.0, 0.5)}),
        ("variance", {"rates": (0.5, 0.0)}),
        ("different loss", {"rates": (0.0, 0.0)}),
        ("variance", {"rates": (0.3, 0.3)}),
        ("variance", {"scale": 0.5}),
        ("variance", {"masks": OneMaskForAll()}),
    ],
    ids=["first missing", "second missing", "both missing", "rate", "scale", "one for all"],
)
def test_each_mistake_is_found(clause, changes):
    results = [judged(losses) for losses in drawn(CHECKS, DRAWS, **changes)]
    found = [clause in " ".join(result.failures) for result in results]
    assert np.mean(found) >= 0.99


def test_masks_that_come_again_are_found():
    for different in (1, 2, 20, 60):
        losses = np.resize(HONEST[0][:different], DRAWS)
        assert any("come again" in each for each in dropout_verdict(check(losses)).failures)


def test_a_few_losses_that_float32_rounds_to_the_same_value_are_no_repetition():
    step = HONEST[0].std() / 50
    assert dropout_verdict(check(np.round(HONEST[0] / step) * step)).passed


def test_dropout_in_inference_too_is_found():
    for losses in HONEST[:100]:
        result = dropout_verdict(check(HONEST[0], inference=losses[:4]))
        assert len(result.failures) == 1
        assert "something is dropped there too" in result.failures[0]


def test_rounding_in_inference_is_no_dropout():
    near = [INFERENCE * (1 + sign * 5e-7) for sign in (-1, 1, -1, 1)]
    assert dropout_verdict(check(HONEST[0], inference=near)).passed


@pytest.mark.parametrize(
    "wrong",
    [
        {"losses": (None, *HONEST[0][1:])},
        {"losses": ()},
        {"inference_losses": (INFERENCE, None)},
        {"inference_losses": ()},
        {"oracle_losses": (1.0,) * 50},
        {"oracle_inference_loss": None},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_no_number_proves_nothing(wrong):
    assert not dropout_verdict(msgspec.structs.replace(check(HONEST[0]), **wrong)).passed


def test_the_tests_are_those_of_the_textbooks():
    one, other = np.random.RandomState(0).normal(size=(2, 60))
    from scipy import stats

    welch = stats.ttest_ind(one, other[:40], equal_var=False).pvalue
    assert mean_p_value(one, other[:40]) == pytest.approx(welch)
    normal = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)  # its kurtosis is below 3
    f = (2 * normal[:2001:20]).var(ddof=1) / normal.var(ddof=1)
    expected = 2 * min(stats.f.cdf(f, 100, 3999), stats.f.sf(f, 100, 3999))
    assert spread_p_value(2 * normal[:2001:20], normal) == pytest.approx(expected)
