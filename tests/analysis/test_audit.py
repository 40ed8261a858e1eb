"""Each check of an audit: what it lets through, what it finds, and what it says then."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.audit import WORDS, holds
from harness.analysis.trials import Trial
from harness.spec.events import Window
from harness.spec.proof_events import AuditCheck, CheckName

from .audits import (
    ALL,
    CONDITIONS,
    END,
    EXAMPLES,
    EXPECTED,
    FIRST_WINDOW,
    HONEST,
    PER_WINDOW,
    WINDOWS,
    changed,
    failures,
    findings,
    honest_window,
    named,
    names,
    spending,
)
from .runs import cell


def test_an_honest_trial_passes_every_check():
    found = findings(HONEST)
    assert failures(found) == []
    # What the other contenders say is asked only where the oracle did not go.
    assert set(names(found)) == set(get_args(CheckName)) - {"agreement"}
    assert (found.held_steps, found.unmade) == (WINDOWS * PER_WINDOW, ())
    assert WORDS.keys() == set(get_args(CheckName))


def with_evaluation(**fields: object) -> Trial:
    [evaluation] = HONEST.evaluations
    return HONEST._replace(evaluations=(msgspec.structs.replace(evaluation, **fields),))


def recounted(correct: int) -> Trial:
    sample = msgspec.structs.replace(HONEST.evaluations[0].sample, recounted_correct=correct)
    return with_evaluation(sample=sample)


HALF = honest_window(1)
WRONG: dict[str, tuple[Trial, dict[str, object], str]] = {
    "half of each batch": (
        changed(
            HONEST,
            [1],
            trained_examples=EXAMPLES // 2,
            loss_sum=HALF.loss_sum / 2,
            correct=HALF.correct // 2,
        ),
        {},
        "window 1, examples trained: 2,816, expected 5,632",
    ),
    "another loss": (
        changed(HONEST, [2], loss_sum=1.001 * honest_window(2).loss_sum),
        {},
        "window 2, mean loss: 1.748362, expected 1.746611 to 1.74662",
    ),
    "a loss that is no number": (
        changed(HONEST, [2], loss_sum=None),
        {},
        "window 2, mean loss: not a finite number, expected 1.746611 to 1.74662",
    ),
    "more hits": (
        changed(HONEST, [0], correct=honest_window(0).correct + 6),
        {},
        "window 0, share of hits: 0.276456, expected 0.2745028 to 0.2762784",
    ),
    "a loss that nobody shares": (
        changed(HONEST, [1], loss_sum=1.03 * honest_window(1).loss_sum),
        {
            "expectation": FIRST_WINDOW,
            "conditions": CONDITIONS._replace(agreement=0.02),
            "others": (HONEST, HONEST),
        },
        "window 1, mean loss (the other contenders agree on another): 2.0291, "
        "expected 1.9306 to 2.0094",
    ),
    "other weights at the end": (
        HONEST,
        {"end": {**END, "conv1.bias": (0.5, 3e-6)}},
        "deviation from the oracle's weights after the last step (conv1.bias): 0.5, "
        "expected at most 3e-06",
    ),
    "weights of another shape at the end": (
        HONEST,
        {"end": {**END, "conv1.bias": (None, 3e-6)}},
        "deviation from the oracle's weights after the last step (conv1.bias): "
        "not a finite number, expected at most 3e-06",
    ),
    "trains while it stages": (
        changed(HONEST, [1], weights_before="others"),
        {},
        "window 1, windows before which staging changed the weights: 1, expected 0",
    ),
    "starts from other weights": (
        HONEST,
        {"conditions": CONDITIONS._replace(initial_weights="others")},
        "window 0, windows before which staging changed the weights: 1, expected 0",
    ),
    "computes while it stages": (
        spending(HONEST, ALL, stage_cpu_seconds=0.3),
        {},
        "CPU seconds of staging: 0.96, expected at most 0.9",
    ),
    "computes in the lead-in": (
        spending(HONEST, ALL, lead_in_cpu_seconds=0.9),
        {},
        "CPU seconds of a lead-in, whose steps take more than timed ones: 1, "
        "expected at most 0.5864",
    ),
    "works before the lead-in": (
        spending(HONEST, ALL, read_before_cpu_seconds=0.07),
        {},
        "seconds of work done when metrics and weights were read: 0.207, "
        "expected at most 0.20592",
    ),
    "leaves work over": (
        spending(HONEST, ALL, read_cpu_seconds=0.07),
        {},
        "seconds of work done when metrics and weights were read: 0.21, "
        "expected at most 0.20592",
    ),
    "an answer that comes late": (
        changed(HONEST, [1], answer_seconds=2.0),
        {},
        "seconds between question and answer that the worker's clock lacks: 1.3968, "
        "expected at most 0.62664",
    ),
    "a clock that runs fast": (
        changed(HONEST, [1], total_seconds=2.0),
        {},
        "seconds between question and answer that the worker's clock lacks: -1.3468, "
        "expected -0.3 to 0.48996",
    ),
    "CPU time that it does not own up to": (
        changed(HONEST, [1], answer_cpu_seconds=2.0),
        {},
        "CPU seconds between question and answer that the worker does not account for: 0.8772, "
        "expected at most 0.57756",
    ),
    "lets a child compute": (
        changed(HONEST, ALL, children_cpu_seconds=0.4),
        {},
        "threads used, as CPU time ÷ wall time: 2.68125, expected at most 2.519531",
    ),
    "uses more threads": (
        spending(HONEST, ALL, cpu_seconds=0.4),
        {},
        "threads used, as CPU time ÷ wall time: 2.68125, expected at most 2.519531",
    ),
    "computes while it waits": (
        changed(HONEST, ALL, waiting_cpu_seconds=0.2),
        {},
        "CPU seconds used while it should wait: 0.6, expected at most 0.45",
    ),
    "faster than the machine": (
        changed(HONEST, [2], wall_seconds=0.02, cpu_seconds=0.03),
        {},
        "window 2, examples a second, by the measured peak of this machine: 256,000, "
        "expected at most 200,000",
    ),
    "says other hits than its logits": (
        recounted(650),
        {},
        "hits that evaluate and logits disagree about, or examples not evaluated: 50, "
        "expected at most 2",
    ),
    "evaluates half of the test set": (
        with_evaluation(examples=5_000),
        {},
        "hits that evaluate and logits disagree about, or examples not evaluated: 5,000, "
        "expected 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_fails_its_own_check_alone_and_is_said(name):
    trial, how, expected = WRONG[name]
    assert failures(findings(trial, **how)) == [expected]


def test_for_each_check_there_is_a_trial_that_fails_it():
    failed = {
        check.name
        for trial, how, _ in WRONG.values()
        for check in findings(trial, **how).checks
        if not holds(check)
    }
    assert failed == set(get_args(CheckName))


def with_hits(more: float) -> Trial:
    return changed(HONEST, [0], correct=honest_window(0).correct + int(more))


def with_loss(share: float) -> Trial:
    return changed(HONEST, [0], loss_sum=honest_window(0).loss_sum * (1 + share))


LIMITS: list[tuple[CheckName, float, float, Callable[[float], Trial]]] = [
    ("examples", 0, 1, lambda x: changed(HONEST, [0], trained_examples=EXAMPLES + int(x))),
    ("loss", 2.3e-6, 2.5e-6, with_loss),
    ("loss", -2.3e-6, -2.5e-6, with_loss),
    ("correct", 5, 6, with_hits),
    ("correct", -5, -6, with_hits),
    ("staging_time", 0.279, 0.281, lambda x: spending(HONEST, ALL, stage_cpu_seconds=x)),
    ("lead_in", 0.48, 0.49, lambda x: spending(HONEST, ALL, lead_in_cpu_seconds=x)),
    ("left_over", 0.068, 0.069, lambda x: spending(HONEST, ALL, read_cpu_seconds=x)),
    ("clock", 0.180, 0.181, lambda x: changed(HONEST, ALL, answer_seconds=0.6232 + x)),
    ("cpu_clock", 0.1, 0.2, lambda x: changed(HONEST, ALL, answer_cpu_seconds=1.1328 + x)),
    ("threads", 0.31, 0.33, lambda x: changed(HONEST, ALL, children_cpu_seconds=x)),
    ("waiting", 0.15, 0.16, lambda x: changed(HONEST, ALL, waiting_cpu_seconds=x)),
    ("rate", 0.0257, 0.0255, lambda x: changed(HONEST, [1], wall_seconds=x)),
    ("evaluation", 2, 3, lambda x: recounted(700 + int(x))),
    ("evaluation", 2, 3, lambda x: recounted(700 - int(x))),
    ("evaluation", 0, 1, lambda x: with_evaluation(examples=10_000 - int(x))),
]


@pytest.mark.parametrize(("name", "within", "beyond", "made"), LIMITS)
def test_limits_are_where_they_are_said_to_be(name, within, beyond, made):
    assert holds(named(name, findings(made(within))))
    assert not holds(named(name, findings(made(beyond))))


def test_limits_themselves_are_within():
    check = AuditCheck(name="loss", seen=1.0, lowest=1.0, highest=2.0)
    assert holds(check)
    assert holds(msgspec.structs.replace(check, seen=2.0))
    assert not holds(msgspec.structs.replace(check, seen=float(np.nextafter(2.0, 3.0))))
    assert not holds(msgspec.structs.replace(check, seen=float(np.nextafter(1.0, 0.0))))
    assert not holds(msgspec.structs.replace(check, seen=None))


DURATIONS = [
    ("wall_seconds", "lead_in_seconds", "stage_seconds", "read_before_seconds", "read_seconds",
     "read_again_seconds", "total_seconds", "answer_seconds", "waiting_seconds"),
    ("cpu_seconds", "gather_cpu_seconds", "stage_cpu_seconds", "lead_in_cpu_seconds",
     "read_before_cpu_seconds", "read_cpu_seconds", "read_again_cpu_seconds", "total_cpu_seconds",
     "answer_cpu_seconds", "children_cpu_seconds", "waiting_cpu_seconds"),
]  # fmt: skip


def busy(trial: Trial, wall: list[float], cpu: list[float]) -> Trial:
    """``trial`` where each window took so many times as long."""
    for number, factors in enumerate(zip(wall, cpu, strict=True)):
        fields = {
            name: getattr(trial.windows[number], name) * factor
            for names, factor in zip(DURATIONS, factors, strict=True)
            for name in names
        }
        trial = changed(trial, [number], **fields)
    return trial


@pytest.mark.parametrize("source", ["resident", "loader"])
@given(
    st.lists(st.floats(1, 20), min_size=WINDOWS, max_size=WINDOWS),
    st.lists(st.floats(1, 2), min_size=WINDOWS, max_size=WINDOWS),
)
def test_a_busy_machine_fails_nobody(source, wall, cpu):
    conditions = CONDITIONS._replace(cell=cell("alpha", source=source))
    expectation = EXPECTED if source == "resident" else None
    # Threads spin and caches are cold, but a CPU second takes a second at least.
    wall = [max(pair) for pair in zip(wall, cpu, strict=True)]
    found = findings(busy(HONEST, wall, cpu), conditions, expectation)
    assert failures(found) == []


@pytest.mark.parametrize(("disturbed", "fails"), [([0, 1], False), (list(ALL), True)])
def test_a_lead_in_is_judged_by_those_that_nobody_disturbed(disturbed, fails):
    """Threads that spin for others take CPU time in some lead-ins, a wrong program in all."""
    trial = spending(HONEST, disturbed, lead_in_cpu_seconds=5.0)
    failed = {check.name for check in findings(trial).checks if not holds(check)}
    assert ("lead_in" in failed) == fails


def test_beside_other_work_a_lead_in_says_nothing_and_that_is_said():
    wrong = spending(HONEST, ALL, lead_in_cpu_seconds=5.0)
    taken = [
        msgspec.structs.replace(
            one, idle_seconds=max(0.0, 1.5 * one.wall_seconds - one.cpu_seconds)
        )
        for one in wrong.windows
    ]
    found = findings(wrong._replace(windows=tuple(taken)))
    assert "lead_in" not in names(found)
    assert "its lead-ins were not held: others used the CPUs all the time" in found.unmade
    # One window at rest is enough to see it.
    found = findings(wrong._replace(windows=(wrong.windows[0], *taken[1:])))
    assert "lead_in" in {check.name for check in found.checks if not holds(check)}


def test_records_that_do_not_say_where_the_time_went_are_held_by_the_rest():
    """Those of scripts and of earlier versions: such fields have their defaults."""
    defaults = {
        field.name: field.default
        for field in msgspec.structs.fields(Window)
        if field.name in ("weights_before", "weights_after") or "cpu_" in field.name
        if not field.required
    }
    assert len(defaults) > 8
    found = findings(changed(HONEST, ALL, **defaults), end={})
    assert failures(found) == []
    assert set(names(found)) == {"examples", "loss", "correct", "rate", "evaluation"}
    assert found.unmade == ("its time was not accounted for: it does not say where it went",)


def test_evaluations_of_earlier_versions_have_no_sample():
    assert failures(findings(with_evaluation(sample=None))) == []
    assert "evaluation" not in names(findings(HONEST._replace(evaluations=())))


def test_on_a_gpu_the_wall_clock_says_what_was_left_over():
    on_gpu = CONDITIONS._replace(cell=msgspec.structs.replace(CONDITIONS.cell, device="gpu"))
    assert not {"waiting"} & set(names(findings(HONEST, on_gpu)))
    late = changed(HONEST, ALL, read_seconds=0.1)
    assert failures(findings(late)) == []
    assert failures(findings(late, on_gpu)) == [
        "seconds of work done when metrics and weights were read: 0.294, expected at most 0.1368"
    ]
    assert "rate" not in names(findings(HONEST, on_gpu._replace(peak_flops=None)))
