"""Whether a cell computes what the oracle computes, and how far cells are from each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.spec.events import Deviation, Hashes, Parity, Run
from harness.spec.recipes import Tolerances

STEPS = 10


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
    """Mean loss of the batches of steps 1 to 10, in nats."""


class ParityResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a cell may be compared with others."""

    cell: str
    passed: bool
    failures: tuple[str, ...]
    """One clause for each check that failed: which, at which step, by how much."""
    worst_at_step_1: Deviation | None
    """The largest of the initial logits, weights after one step and first loss; one that is not
    finite is larger than any."""
    worst_at_steps_2_to_10: Deviation | None
    """The largest of the logits after one step and the later losses."""


class CrossDeviation(msgspec.Struct, frozen=True, kw_only=True):
    """How far the losses of two cells of a group are from each other. It is shown, not judged."""

    group: str
    cell: str
    against: str
    at_step_1: float | None
    """|a−b| ÷ |b| of the first loss, b being that of ``against``; nothing where it is not finite
    or where the two did not get the same data, weights or order."""
    largest_at_steps_2_to_10: float | None
    """Likewise, the largest of the later losses."""


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


def deviations_from_oracle(
    cell: Observation,
    oracle: Observation,
    *,
    forward_tolerance: float = Tolerances().forward,
    first_step_tolerance: float = Tolerances().step_1,
    later_steps_tolerance: float = Tolerances().steps_2_to_10,
) -> tuple[Deviation, ...]:
    """Every check of a parity proof, in order: logits, each tensor by itself, logits after the
    step, each loss. The tolerances are those of the recipe; they default to the LeNets'.

    A tensor or loss that only one of the two has deviates by nothing finite, and so fails.
    """
    checks = [("logits", 0, "", relative_deviation(cell.logits, oracle.logits))]
    for name in dict.fromkeys((*oracle.weights, *cell.weights)):
        both = name in oracle.weights and name in cell.weights
        value = relative_deviation(cell.weights[name], oracle.weights[name]) if both else None
        checks.append(("weights", 1, name, value))
    after = relative_deviation(cell.logits_after_step, oracle.logits_after_step)
    # They come from the weights that the loss of step 2 comes from, and are held as that is.
    checks.append(("logits", 2, "", after))
    for step in range(1, max(len(cell.losses), len(oracle.losses), STEPS) + 1):
        loss, expected = _loss(cell.losses, step), _loss(oracle.losses, step)
        checks.append(("loss", step, "", relative_deviation_of_loss(loss, expected)))
    return tuple(
        Deviation(
            check=check,
            step=step,
            tensor=tensor,
            value=value,
            tolerance=(
                forward_tolerance
                if is_of_forward_pass(check, step, tensor)
                else first_step_tolerance
                if step <= 1
                else later_steps_tolerance
            ),
        )
        for check, step, tensor, value in checks
    )


def is_of_forward_pass(check: str, step: int, tensor: str) -> bool:
    """Whether a check is of what the first forward pass gives, before any gradient."""
    return (check, step) in {("logits", 0), ("loss", 1)} or (
        step == 1 and tensor.endswith((".running_mean", ".running_var"))
    )


def parity_verdict(parity: Parity) -> ParityResult:
    """Whether every check was made and held, and which did not."""
    failures = (
        *_hash_failures(parity.hashes, parity.expected_hashes),
        *_unmade_checks(parity),
        *(_failure(each) for each in parity.deviations if not _holds(each)),
    )
    return ParityResult(
        cell=parity.cell,
        passed=not failures,
        failures=failures,
        worst_at_step_1=_worst([each for each in parity.deviations if each.step <= 1]),
        worst_at_steps_2_to_10=_worst([each for each in parity.deviations if each.step > 1]),
    )


def parity_results(run: Run) -> tuple[ParityResult, ...]:
    """One result for each time that a cell was held against the oracle, in order."""
    return tuple(parity_verdict(event) for event in run.events if isinstance(event, Parity))


def cross_deviations(run: Run) -> tuple[CrossDeviation, ...]:
    """All pairs of verified cells of each group, from their recorded losses."""
    last = {event.cell: event for event in run.events if isinstance(event, Parity)}
    return tuple(
        _cross_deviation(group.name, last[cell], last[against])
        for group in run.manifest.plan.groups
        for against, cell in combinations([cell for cell in group.cells if cell in last], 2)
    )


def differing_hashes(a: Hashes, b: Hashes) -> dict[str, tuple[str, str]]:
    """Which of ``data``, ``weights`` and ``order`` are not the same → both hashes, shortened."""
    return {
        name: (getattr(a, name)[:12], getattr(b, name)[:12])
        for name in ("data", "weights", "order")
        if getattr(a, name) != getattr(b, name)
    }


def _cross_deviation(group: str, cell: Parity, against: Parity) -> CrossDeviation:
    first: float | None = None
    later: float | None = None
    if cell.hashes == against.hashes:
        steps = range(1, max(len(cell.losses), len(against.losses)) + 1)
        values = [
            relative_deviation_of_loss(_loss(cell.losses, step), _loss(against.losses, step))
            for step in steps
        ]
        first, later = _largest(values[:1]), _largest(values[1:])
    return CrossDeviation(
        group=group,
        cell=cell.cell,
        against=against.cell,
        at_step_1=first,
        largest_at_steps_2_to_10=later,
    )


def _largest(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    return max(finite) if finite and len(finite) == len(values) else None


def _loss(losses: Sequence[float | None], step: int) -> float | None:
    return losses[step - 1] if step <= len(losses) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _holds(deviation: Deviation) -> bool:
    return deviation.value is not None and deviation.value <= deviation.tolerance


def _worst(deviations: Sequence[Deviation]) -> Deviation | None:
    def size(deviation: Deviation) -> float:
        return math.inf if deviation.value is None else deviation.value

    return max(deviations, key=size, default=None)


def _hash_failures(got: Hashes, expected: Hashes) -> Iterator[str]:
    for name, (one, other) in differing_hashes(got, expected).items():
        yield f"hash of {name}: {one}, expected {other}"


def _unmade_checks(parity: Parity) -> Iterator[str]:
    """A check that was not made has not been passed, unless it could not be made."""
    made = {(each.check, each.step) for each in parity.deviations}
    inner = [("logits", 0), ("weights", 1), ("logits", 2)]
    losses = [("loss", step) for step in range(1, STEPS + 1)]
    for check, step in losses if parity.losses_alone else (*inner, *losses):
        if (check, step) not in made:
            yield f"{_place(check, step, '')}: not checked"


def _failure(deviation: Deviation) -> str:
    place = _place(deviation.check, deviation.step, deviation.tensor)
    if deviation.value is None:
        return f"{place}: not a finite number, or of another shape"
    if deviation.tolerance <= 0:
        return f"{place}: off by {deviation.value:.1e}, and nothing is tolerated"
    times = deviation.value / deviation.tolerance
    return (
        f"{place}: off by {deviation.value:.1e}, {times:.3g} times the tolerance of "
        f"{deviation.tolerance:.2g}"
    )


def _place(check: str, step: int, tensor: str) -> str:
    if check == "logits":
        return f"logits before step {step}" if step else "logits of the initial model (step 0)"
    if check == "weights":
        return f"weights {tensor} after step {step}" if tensor else f"weights after step {step}"
    return f"{check} at step {step}"
