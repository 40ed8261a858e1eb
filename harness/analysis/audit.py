"""Whether a timed trial computed what it had to, within the time that it said.

A proof shows that a worker *can* compute the recipe. An audit looks at the very windows whose rates
are compared: what they trained on, what came out of it, and where all of the time went. CPU time is
judged rather than wall time wherever one will do, so that a busy machine fails nobody. Each limit
says what it lets through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.analysis.accounts import accounts, calm_windows
from harness.analysis.audit_checks import Conditions, check_of, quotient, worst_of
from harness.analysis.deviations import FACTOR, ROUNDINGS, granted_at_most
from harness.analysis.parity import ParityResult
from harness.analysis.trials import Trial
from harness.datasets.order import examples_in
from harness.spec.events import Window
from harness.spec.proof_events import Audit, AuditCheck, CheckName

AUDITED_HITS = 5
"""Hits of a window that may differ beside what rounding does: near ties of two logits."""
IMPOSSIBLE_TIMES = 4
"""A machine's peak is measured with a matrix product in NumPy, whose kernels may be of an older
processor's instruction set (2 times), and a convolution by Winograd takes 2.25 times fewer
multiplications than are counted (Lavin and Gray, 2016, section 4.1)."""
RECOUNTED_HITS = 2
"""Of a batch of an evaluation: near ties between a compiled forward pass and another."""


class Expectation(NamedTuple):
    """What the oracle computed of the same recipe, seed and batches; see ``Trajectory``."""

    losses: NDArray[np.float64]
    """(N,): mean loss of each step's batch, in nats."""
    correct: NDArray[np.int64]
    """(N,): hits of each step's batch."""
    rounded_losses: NDArray[np.float64]
    """(V, N): the same with the oracle's rounding moved, V times."""
    rounded_correct: NDArray[np.float64]
    """(V, N)."""


class Findings(NamedTuple):
    """What an audit has looked at; see ``Audit``."""

    checks: tuple[AuditCheck, ...]
    held_steps: int
    unmade: tuple[str, ...]


def audit_trial(
    trial: Trial,
    conditions: Conditions,
    expectation: Expectation | None,
    end: Mapping[str, tuple[float | None, float]],
    others: Sequence[Trial] = (),
) -> Findings:
    """Every check of a finished trial.

    Args:
        trial: Its events.
        conditions: Of its cell.
        expectation: The oracle's; none: it was not computed.
        end: Tensor → how far it was from the oracle's after the last step, and what it is granted;
            empty: not looked at.
        others: The block's other trials, of other cells.
    """
    windows = trial.windows
    steps = 0 if expectation is None or conditions.dropout else len(expectation.losses)
    held = [window for window in windows if _last_step(window) <= steps]
    checks = [*_examples(windows, conditions)]
    if expectation is not None:
        checks += _trajectory(held, expectation, conditions.cell.recipe.batch_size)
    checks += _weights(end)
    unheld = [one for one in windows if one not in held]
    known = _losses_of(others) if _may_agree(conditions) else {}
    checks += _agreement(unheld, conditions, known)
    checks += accounts(windows, conditions)
    checks += _rate(windows, conditions)
    checks += _evaluations(trial, conditions)
    alone = sum(_steps(window) not in known for window in unheld)
    unmade = tuple(_unmade(windows, alone, conditions))
    return Findings(tuple(checks), max(map(_last_step, held), default=0), unmade)


def audit_verdict(audit: Audit) -> ParityResult:
    """Whether every check of a trial held."""
    failures = tuple(clause(check) for check in audit.checks if not holds(check))
    return ParityResult(
        cell=audit.cell,
        passed=not failures,
        failures=tuple(f"audit of trial {audit.trial}: {failure}" for failure in failures),
        worst_at_step_1=None,
        worst_at_steps_2_to_10=None,
        audit=True,
    )


def holds(check: AuditCheck) -> bool:
    """Whether what was seen lies where it has to."""
    return check.seen is not None and check.lowest <= check.seen <= check.highest


WORDS: dict[CheckName, str] = {
    "examples": "examples trained",
    "loss": "mean loss",
    "correct": "share of hits",
    "agreement": "mean loss (the other contenders agree on another)",
    "weights": "deviation from the oracle's weights after the last step",
    "staging": "windows before which staging changed the weights",
    "staging_time": "CPU seconds of staging",
    "lead_in": "CPU seconds of a lead-in, whose steps take more than timed ones",
    "left_over": "seconds of work done when metrics and weights were read",
    "clock": "seconds between question and answer that the worker's clock lacks",
    "cpu_clock": "CPU seconds between question and answer that the worker does not account for",
    "threads": "threads used, as CPU time ÷ wall time",
    "waiting": "CPU seconds used while it should wait",
    "rate": "examples a second, by the measured peak of this machine",
    "evaluation": "hits that evaluate and logits disagree about, or examples not evaluated",
}
"""Check → what is seen, as a noun."""


def clause(check: AuditCheck) -> str:
    """What was seen where, and what was expected: ``window 3, mean loss: 2.29, expected 2.31``."""
    place = "" if check.window is None else f"window {check.window}, "
    what = WORDS[check.name] + (f" ({check.tensor})" if check.tensor else "")
    seen = "not a finite number" if check.seen is None else _shown(check.seen)
    if check.lowest == check.highest:
        expected = _shown(check.highest)
    elif check.lowest <= 0 and not (check.seen is not None and check.seen < check.lowest):
        expected = f"at most {_shown(check.highest)}"
    else:
        expected = f"{_shown(check.lowest)} to {_shown(check.highest)}"
    return f"{place}{what}: {seen}, expected {expected}"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e12 else f"{value:.7g}"


def _steps(window: Window) -> tuple[int, int]:
    return window.first_step, _last_step(window)


def _last_step(window: Window) -> int:
    return window.first_step + window.lead_in_steps + window.steps + window.partial_steps


def _examples(windows: Sequence[Window], conditions: Conditions) -> Iterator[AuditCheck]:
    """What each window trained on, by the metrics that the adapter counts."""
    cell = conditions.cell
    size, examples = cell.recipe.batch_size, conditions.train_examples
    checks = []
    for window in windows:
        steps = window.lead_in_steps + window.steps
        planned = steps * size + window.partial_steps * (examples % size)
        if cell.loads:
            first, last = window.first_step, window.first_step + steps
            planned = examples_in(last, size, examples) - examples_in(first, size, examples)
        checks.append(check_of("examples", window.trained_examples, planned, planned, window.round))
    yield from worst_of(checks)


def _trajectory(
    windows: Sequence[Window], expectation: Expectation, batch_size: int
) -> Iterator[AuditCheck]:
    """Loss and hits of each window against the oracle's on the same batches."""
    losses, hits, moved, changed = [], [], ROUNDINGS, 0.0
    for window in windows:
        steps = slice(window.first_step, _last_step(window))
        examples = batch_size * (steps.stop - steps.start)
        mean = float(expectation.losses[steps].mean())
        rounded = expectation.rounded_losses[:, steps].mean(axis=1)
        # Rounding adds up: a window is granted at least what those before it were.
        moved = max(moved, float(np.abs(rounded - mean).max(initial=0.0)) / mean)
        tolerance = mean * granted_at_most(FACTOR * moved)
        seen = quotient(window.loss_sum, window.trained_examples)
        losses.append(check_of("loss", seen, mean - tolerance, mean + tolerance, window.round))
        share = float(expectation.correct[steps].sum()) / examples
        others = expectation.rounded_correct[:, steps].sum(axis=1) / examples
        changed = max(changed, float(np.abs(others - share).max(initial=0.0)))
        tolerance = FACTOR * changed + AUDITED_HITS / examples
        seen = quotient(window.correct, window.trained_examples)
        hits.append(check_of("correct", seen, share - tolerance, share + tolerance, window.round))
    yield from worst_of(losses)
    yield from worst_of(hits)


def _weights(end: Mapping[str, tuple[float | None, float]]) -> Iterator[AuditCheck]:
    """Each tensor by itself; the one that takes most of what it is granted."""
    yield from worst_of(
        [
            AuditCheck(name="weights", tensor=name, seen=value, lowest=0.0, highest=tolerance)
            for name, (value, tolerance) in end.items()
        ]
    )


def _may_agree(conditions: Conditions) -> bool:
    """Whether contenders of this cell's recipe and input train alike."""
    return conditions.agreement is not None and not conditions.dropout and not conditions.cell.loads


def _losses_of(trials: Sequence[Trial]) -> dict[tuple[int, int], list[float]]:
    """First and last step of a window → the mean losses that ``trials`` had in it."""
    known: dict[tuple[int, int], list[float]] = {}
    for trial in trials:
        for window in trial.windows:
            loss = quotient(window.loss_sum, window.trained_examples)
            if loss is not None:
                known.setdefault(_steps(window), []).append(loss)
    return known


def _agreement(
    windows: Sequence[Window],
    conditions: Conditions,
    known: Mapping[tuple[int, int], Sequence[float]],
) -> Iterator[AuditCheck]:
    """Where the oracle did not go, the median of all contenders stands for it."""
    checks = []
    for window in windows:
        losses = known.get(_steps(window), [])
        seen = quotient(window.loss_sum, window.trained_examples)
        if losses:
            middle = median([*losses, *([] if seen is None else [seen])])
            off = (conditions.agreement or 0.0) * middle
            checks.append(check_of("agreement", seen, middle - off, middle + off, window.round))
    yield from worst_of(checks)


def _rate(windows: Sequence[Window], conditions: Conditions) -> Iterator[AuditCheck]:
    """No machine computes faster than it can."""
    if conditions.peak_flops is None or not conditions.flops_per_example:
        return
    highest = IMPOSSIBLE_TIMES * conditions.peak_flops / conditions.flops_per_example
    yield from worst_of(
        [
            check_of(
                "rate", quotient(window.examples, window.wall_seconds), 0, highest, window.round
            )
            for window in windows
        ]
    )


def _evaluations(trial: Trial, conditions: Conditions) -> Iterator[AuditCheck]:
    """The test set was evaluated, whole, and one batch of it was counted again."""
    checks = []
    for evaluation in trial.evaluations:
        missing = abs(conditions.test_examples - evaluation.examples)
        checks.append(check_of("evaluation", missing, 0, 0))
        sample = evaluation.sample
        if sample is not None:
            differing = abs(sample.correct - sample.recounted_correct)
            checks.append(check_of("evaluation", differing, 0, RECOUNTED_HITS))
    yield from worst_of(checks)


def _unmade(windows: Sequence[Window], alone: int, conditions: Conditions) -> Iterator[str]:
    """``alone``: windows whose losses neither the oracle nor another contender has."""
    if conditions.dropout:
        yield "no loss can be foretold: dropout is random"
    elif conditions.cell.loads:
        yield "no loss was foretold: the loader chose the order"
    elif alone:
        yield (
            f"losses of {alone} of {len(windows)} windows were held against "
            "nothing: the oracle did not go so far"
        )
    if not (conditions.cell.loads or calm_windows(windows, conditions.cell)):
        yield "its lead-ins were not held: others used the CPUs all the time"
    if not all(window.weights_before for window in windows):
        yield "its time was not accounted for: it does not say where it went"
