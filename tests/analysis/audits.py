"""Timed trials made up for tests of audits: an honest one, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from harness.analysis.audit import Expectation, Findings, audit_trial, clause, holds
from harness.analysis.audit_checks import Conditions
from harness.analysis.trials import Trial
from harness.spec.events import Evaluation, Sample, TrialStarted, Window
from harness.spec.proof_events import AuditCheck, CheckName

from .runs import BATCH, HASHES, STEPS, cell, trial_finished, window

LEAD_IN = 2
PER_WINDOW = LEAD_IN + STEPS
EXAMPLES = PER_WINDOW * BATCH
WINDOWS = 3
ALL = range(WINDOWS)
LOSSES = np.linspace(2.3, 1.64, WINDOWS * PER_WINDOW)
CORRECT = np.arange(60, 60 + WINDOWS * PER_WINDOW)
EXPECTED = Expectation(
    losses=LOSSES,
    correct=CORRECT,
    rounded_losses=LOSSES * np.array([[1 + 1e-7], [1 - 2e-7]]),
    rounded_correct=np.array([CORRECT, CORRECT]),
)
FIRST_WINDOW = Expectation(*(each[..., :PER_WINDOW] for each in EXPECTED))
"""The oracle went no further."""
CONDITIONS = Conditions(
    cell=cell("alpha"),
    train_examples=60_000,
    test_examples=10_000,
    initial_weights="weights 0",
    flops_per_example=2_000_000,
    peak_flops=1e11,
)
END = {"conv1.weight": (1e-7, 2e-6), "conv1.bias": (2e-7, 3e-6)}


def honest_window(number: int) -> Window:
    """Window ``number`` of an honest trial, all of its time accounted for."""
    steps = slice(number * PER_WINDOW, (number + 1) * PER_WINDOW)
    plain = window(1, number, 0, 0.0)
    return msgspec.structs.replace(
        plain,
        loss_sum=float(LOSSES[steps].sum()) * BATCH,
        correct=int(CORRECT[steps].sum()),
        gather_cpu_seconds=0.02,
        stage_cpu_seconds=0.02,
        lead_in_cpu_seconds=0.1,
        read_before_seconds=0.001,
        read_before_cpu_seconds=0.001,
        read_seconds=0.002,
        read_cpu_seconds=0.002,
        read_again_seconds=0.002,
        read_again_cpu_seconds=0.002,
        total_seconds=plain.wall_seconds + plain.lead_in_seconds + plain.stage_seconds + 0.01,
        total_cpu_seconds=plain.cpu_seconds + 0.16,
        answer_seconds=plain.wall_seconds + plain.lead_in_seconds + plain.stage_seconds + 0.02,
        answer_cpu_seconds=plain.cpu_seconds + 0.165,
        weights_before=f"weights {number}",
        weights_after=f"weights {number + 1}",
    )


def honest_trial() -> Trial:
    of = cell("alpha")
    return Trial(
        TrialStarted(at=0.0, trial=1, block=1, group=of.group, cell=of.id, seed=1),
        trial_finished(1, hashes=HASHES, steps=WINDOWS * PER_WINDOW),
        tuple(map(honest_window, range(WINDOWS))),
        (
            Evaluation(
                at=0.0,
                trial=1,
                epoch=1,
                step=WINDOWS * PER_WINDOW,
                loss_sum=9_000.0,
                correct=7_000,
                examples=10_000,
                seconds=0.5,
                stage_seconds=0.1,
                sample=Sample(
                    examples=1000,
                    loss_sum=900.0,
                    correct=700,
                    recounted_loss_sum=900.0,
                    recounted_correct=700,
                ),
            ),
        ),
    )


HONEST = honest_trial()
ACCOUNTS = {
    "staging", "staging_time", "lead_in", "left_over", "clock", "cpu_clock", "threads", "waiting",
}  # fmt: skip
"""Checks of where the time went."""


def changed(trial: Trial, numbers: Sequence[int], **fields: object) -> Trial:
    """``trial``, with other ``fields`` in the windows of these ``numbers``."""
    windows = [
        msgspec.structs.replace(one, **fields) if one.round in numbers else one
        for one in trial.windows
    ]
    return trial._replace(windows=tuple(windows))


def spending(trial: Trial, numbers: Sequence[int], **seconds: float) -> Trial:
    """``trial``, with more ``seconds`` of these kinds in the windows of these ``numbers``, which
    the worker owns up to."""
    windows = []
    for one in trial.windows:
        more = seconds if one.round in numbers else {}
        fields = {name: getattr(one, name) + extra for name, extra in more.items()}
        for name, extra in more.items():
            for whole in ("total_", "answer_"):
                total = f"{whole}{'cpu_' * name.endswith('cpu_seconds')}seconds"
                fields[total] = fields.get(total, getattr(one, total)) + extra
        windows.append(msgspec.structs.replace(one, **fields))
    return trial._replace(windows=tuple(windows))


def findings(
    trial: Trial,
    conditions: Conditions = CONDITIONS,
    expectation: Expectation | None = EXPECTED,
    end: Mapping[str, tuple[float | None, float]] = END,
    others: Sequence[Trial] = (),
) -> Findings:
    return audit_trial(trial, conditions, expectation, end, others)


def failures(found: Findings) -> list[str]:
    """What is said of each check that failed."""
    return [clause(check) for check in found.checks if not holds(check)]


def names(found: Findings) -> list[str]:
    return [check.name for check in found.checks]


def named(name: CheckName, found: Findings) -> AuditCheck:
    [check] = [check for check in found.checks if check.name == name]
    return check
