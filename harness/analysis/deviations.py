"""How far a cell is from the oracle, tensor by tensor, and how far rounding alone may take it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.spec.proof_events import Deviation

FACTOR = 10
"""How many times what rounding does to the oracle a cell is granted: libraries differ in the order
of their sums, and fuse what the oracle computes one after the other."""
SHAKEN_TIMES = 2.5
"""How many times too far a shaken version of the oracle is taken to be off: a cell is granted four
times what it shows."""
ROUNDINGS = 4 * 2.0**-24
"""A deviation that any float32 result may have: four roundings. What rounding does to the oracle
counts as this at least."""
CHANCE_TIMES = 10
"""How many times more a cell is granted where rounding is amplified, in recipes of which float32 is
blunt: one near tie in a pool, or in a ReLU behind a normalization, moves everything after it, and
whether it is turned is chance. What float32 can't show there is shown in float64, where any mistake
stands out by orders of magnitude."""
WIDEST = 1.0
"""From here on rounding alone makes another value of it, and nothing can be asked of it."""
ANYTHING = 1e9
"""What is granted then."""
BLUNT = 1e-3
"""Where rounding alone moves a tensor or a loss by more than this share, float32 proves little."""


class Sums(NamedTuple):
    """Of steps that were taken in one call."""

    loss_sum: float | None
    """In nats, over all examples."""
    correct: int
    examples: int


class Observation(NamedTuple):
    """What is compared of a cell and of the oracle, from the same weights and batches."""

    logits: NDArray[Any]
    """(B, 10), of the initial model on the first batch, in inference mode."""
    weights: Mapping[str, NDArray[Any]]
    """Canonical name → array, after one step; running statistics with the parameters."""
    logits_after_step: NDArray[Any]
    """(B, 10), after one step, on the first batch again, in inference mode: what the running
    statistics are used for."""
    losses: Sequence[float | None]
    """Mean loss of the batches that were trained one by one, in nats."""
    window: Sums | None = None
    """Of the steps after those, taken in one call."""
    end: Mapping[str, NDArray[Any]] = {}
    """Weights after all of them; empty: not looked at."""
    partial: Mapping[str, NDArray[Any]] = {}
    """Weights after one step on a partial batch, from the initial ones; likewise."""


class Exactness(NamedTuple):
    """How far a cell that is computed in float64 may be from the oracle; see ``Float64``."""

    parameters: float
    statistics: float
    """Of running statistics, and of inference, which they go into."""


class Quantity(NamedTuple):
    """What of a cell is compared with the oracle's: see ``Deviation``."""

    check: str
    step: int
    tensor: str = ""


def relative_deviation_of_loss(a: float | None, b: float | None) -> float | None:
    """|a−b| ÷ |b|; nothing where that is not a finite number."""
    if a is None or b is None:
        return None
    if a == b and math.isfinite(a):
        return 0.0
    return _finite(abs(a - b) / abs(b)) if b else None


def relative_deviation(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """‖a−b‖₂ ÷ max(‖b‖₂, 1e-3·√size), in float64; nothing where that is not a finite number.

    The floor is what makes a tensor of true zeros comparable: a deviation of 1e-3 in every element
    of it counts as 1. Arrays of different shapes have no deviation: nothing.
    """
    if a.shape != b.shape:
        return None
    reference = b.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = float(np.linalg.norm((a.astype(np.float64) - reference).ravel()))
        size = float(np.linalg.norm(reference.ravel()))
    if not math.isfinite(size):
        return None
    return _finite(distance / max(size, 1e-3 * math.sqrt(b.size))) if b.size else 0.0


def deviations(cell: Observation, oracle: Observation) -> dict[Quantity, float | None]:
    """How far each quantity of ``cell`` is from the oracle's, in the order of computation.

    A tensor or loss that only one of the two has deviates by nothing finite.
    """
    found = {Quantity("logits", 0): relative_deviation(cell.logits, oracle.logits)}
    found |= _of_tensors(1, cell.weights, oracle.weights)
    after = relative_deviation(cell.logits_after_step, oracle.logits_after_step)
    # They come from the weights that the loss of step 2 comes from.
    found[Quantity("logits", 2)] = after
    steps = max(len(cell.losses), len(oracle.losses))
    for step in range(1, steps + 1):
        loss, expected = _loss(cell.losses, step), _loss(oracle.losses, step)
        found[Quantity("loss", step)] = relative_deviation_of_loss(loss, expected)
    if oracle.window is not None:
        found |= _of_window(cell.window, oracle.window, steps)
    if oracle.end:
        found |= _of_tensors(WINDOW_END, cell.end, oracle.end)
    if oracle.partial:
        found |= _of_tensors(1, cell.partial, oracle.partial, "partial")
    return found


WINDOW_END = -1
"""The step of weights and sums at the end of a proof, whatever its number."""


def _of_tensors(
    step: int,
    cell: Mapping[str, NDArray[Any]],
    oracle: Mapping[str, NDArray[Any]],
    check: str = "weights",
) -> dict[Quantity, float | None]:
    return {
        Quantity(check, step, name): (
            relative_deviation(cell[name], oracle[name])
            if name in oracle and name in cell
            else None
        )
        for name in dict.fromkeys((*oracle, *cell))
    }


def _of_window(cell: Sums | None, oracle: Sums, step: int) -> dict[Quantity, float | None]:
    names = ("window_loss", "window_correct", "window_examples")
    if cell is None:
        return {Quantity(name, WINDOW_END): None for name in names}
    values = (
        relative_deviation_of_loss(cell.loss_sum, oracle.loss_sum),
        abs(cell.correct - oracle.correct) / oracle.examples,
        abs(cell.examples - oracle.examples) / oracle.examples,
    )
    return {Quantity(name, WINDOW_END): value for name, value in zip(names, values, strict=True)}


def rounding_envelope(
    oracle: Observation,
    rounded: Iterable[Observation],
    shaken: Iterable[Observation] = (),
    *,
    roundings: float = ROUNDINGS,
) -> dict[Quantity, float]:
    """How far rounding moves each quantity of the oracle: the most over its ``rounded`` versions,
    and ``roundings`` at least. ``shaken`` versions are further off than rounding may be, so that
    what it might decide either way shows: their deviations count ``SHAKEN_TIMES`` less.

    Single losses and hits can come out right by chance, so each has the most of those before it;
    tensors stand for themselves.
    """
    envelope: dict[Quantity, float] = {}
    versions = [*((version, 1.0) for version in rounded), *((one, SHAKEN_TIMES) for one in shaken)]
    for version, times in versions:
        largest = 0.0
        for quantity, value in deviations(version, oracle).items():
            off = WIDEST if value is None else value / times
            if quantity.check in ("loss", "window_loss"):
                off = largest = max(largest, off)
            envelope[quantity] = max(envelope.get(quantity, roundings), off)
    return envelope


def is_blunt(envelope: Mapping[Quantity, float]) -> bool:
    """Whether float32 proves so little beyond the forward pass that float64 has to."""
    return any(
        off > BLUNT
        for quantity, off in envelope.items()
        if quantity.check in ("weights", "partial", "loss", "window_loss")
    )


def held(
    cell: Observation,
    oracle: Observation,
    envelope: Mapping[Quantity, float],
    window_steps: int = 0,
    exactness: Exactness | None = None,
) -> tuple[Deviation, ...]:
    """Every check of a proof, in the order of computation, with what each is granted.

    ``window_steps``: how many steps were taken in one call after the single ones. What is granted
    is ``FACTOR`` times the ``envelope`` of this recipe, seed and batch, and ``CHANCE_TIMES`` that
    where it is blunt; hits may also differ by 2, and nothing but the plan's number of examples will
    do. ``exactness``: of a cell that was computed in float64, with the envelope of that; it is
    granted this much at least.
    """
    last = len(oracle.losses) + window_steps
    times = FACTOR * (CHANCE_TIMES if exactness is not None or is_blunt(envelope) else 1)
    return tuple(
        Deviation(
            check=quantity.check,
            step=last if quantity.step == WINDOW_END else quantity.step,
            tensor=quantity.tensor,
            value=value,
            tolerance=_granted(quantity, oracle, times * envelope.get(quantity, 0.0), exactness),
        )
        for quantity, value in deviations(cell, oracle).items()
    )


def _granted(
    quantity: Quantity, oracle: Observation, by_rounding: float, exactness: Exactness | None
) -> float:
    """``by_rounding``: what its envelope allows it."""
    if quantity.check == "window_examples":
        return 0.0
    least = 0.0
    if exactness is not None:
        tracked = quantity.tensor.endswith((".running_mean", ".running_var"))
        inference = quantity == Quantity("logits", 2)
        least = exactness.statistics if tracked or inference else exactness.parameters
    allowed = max(least, by_rounding)
    if quantity.check == "window_correct" and oracle.window is not None:
        allowed += 2 / oracle.window.examples
    return granted_at_most(allowed)


def granted_at_most(allowed: float) -> float:
    """``allowed``; where that is as much as the value itself, anything."""
    return allowed if allowed < WIDEST else ANYTHING


def _loss(losses: Sequence[float | None], step: int) -> float | None:
    return losses[step - 1] if step <= len(losses) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def holds(deviation: Deviation) -> bool:
    """Whether it keeps to what is granted."""
    return deviation.value is not None and deviation.value <= deviation.tolerance


def share_of_granted(deviation: Deviation) -> float:
    """How much of its tolerance it takes: more than 1 exceeds it, and what is not finite most."""
    if deviation.value is None:
        return math.inf
    if deviation.tolerance <= 0:
        return math.inf if deviation.value > 0 else 0.0
    return deviation.value / deviation.tolerance
