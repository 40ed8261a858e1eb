"""Whether a cell computes what the oracle computes, and how far cells are from each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import msgspec

from harness.analysis.deviations import holds, relative_deviation_of_loss, share_of_granted
from harness.spec.events import AnyEvent
from harness.spec.manifest import Group
from harness.spec.proof_events import Deviation, Hashes, Parity


class ParityResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a cell may be compared with others."""

    cell: str
    passed: bool
    failures: tuple[str, ...]
    """One clause for each check that failed: which, at which step, by how much."""
    worst_at_step_1: Deviation | None
    """Of the initial logits, weights after one step and first loss: the deviation that takes most
    of its tolerance; one that is not finite takes more than any."""
    worst_at_steps_2_to_10: Deviation | None
    """Likewise, of the logits after one step, of all that follows, and of the steps in one call."""
    audit: bool = False
    """Whether a timed trial was held, and not a proof taken."""


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


def parity_verdict(parity: Parity) -> ParityResult:
    """Whether every check was made and held, and which did not."""
    failures = (
        *_hash_failures(parity.hashes, parity.expected_hashes),
        *_unmade_checks(parity),
        *(_failure(each) for each in parity.deviations if not holds(each)),
    )
    return ParityResult(
        cell=parity.cell,
        passed=not failures,
        failures=failures,
        worst_at_step_1=_worst([each for each in parity.deviations if each.step <= 1]),
        worst_at_steps_2_to_10=_worst([each for each in parity.deviations if each.step > 1]),
    )


def parity_results(events: Iterable[AnyEvent]) -> tuple[ParityResult, ...]:
    """One result for each time that a cell was held against the oracle, in order."""
    return tuple(parity_verdict(event) for event in events if isinstance(event, Parity))


def cross_deviations(
    groups: Iterable[Group], events: Iterable[AnyEvent]
) -> tuple[CrossDeviation, ...]:
    """All pairs of verified cells of each group, from their recorded losses."""
    last = {event.cell: event for event in events if isinstance(event, Parity)}
    return tuple(
        _cross_deviation(group.name, last[cell], last[against])
        for group in groups
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


def _worst(deviations: Sequence[Deviation]) -> Deviation | None:
    """The one that takes most of its tolerance, or exceeds it most."""
    return max(deviations, key=share_of_granted, default=None)


def _hash_failures(got: Hashes, expected: Hashes) -> Iterator[str]:
    for name, (one, other) in differing_hashes(got, expected).items():
        yield f"hash of {name}: {one}, expected {other}"


def _unmade_checks(parity: Parity) -> Iterator[str]:
    """A check that was not made has not been passed, unless it could not be made."""
    made = {(each.check, each.step) for each in parity.deviations}
    inner = [("logits", 0), ("weights", 1), ("logits", 2)]
    losses = [("loss", step) for step in range(1, parity.steps + 1)]
    if parity.window_steps:
        names = ("window_loss", "window_correct", "window_examples", "weights")
        inner += [(name, parity.steps + parity.window_steps) for name in names]
    if parity.partial:
        inner.append(("partial", 1))
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


WINDOW_CHECKS = {
    "window_loss": "loss of several steps in one call",
    "window_correct": "hits of several steps in one call",
    "window_examples": "examples of several steps in one call",
}


def _place(check: str, step: int, tensor: str) -> str:
    if check == "logits":
        return f"logits before step {step}" if step else "logits of the initial model (step 0)"
    if check in WINDOW_CHECKS:
        return WINDOW_CHECKS[check]
    if check == "partial":
        return f"weights {tensor} after a partial batch".replace("  ", " ")
    if check == "weights":
        return f"weights {tensor} after step {step}" if tensor else f"weights after step {step}"
    return f"{check} at step {step}"
