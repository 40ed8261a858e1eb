"""What a run is worth of which an audit failed."""

from __future__ import annotations

import pytest

from harness.analysis.audit import audit_verdict, clause
from harness.analysis.baselines import run_cells
from harness.analysis.exports import results
from harness.analysis.frames import windows_frame
from harness.analysis.gate import gate
from harness.analysis.observations import Observations
from harness.analysis.studies import exit_code
from harness.analysis.verdicts import judge
from harness.spec.events import Failure
from harness.spec.manifest import Run
from harness.spec.proof_events import Audit, AuditCheck, Parity

from .gates import gated
from .runs import Contender, cell, noise, speed_run

ALPHA, BETA = cell("alpha").id, cell("beta").id
RIGHT = AuditCheck(name="examples", window=1, seen=5632.0, lowest=5632.0, highest=5632.0)
WRONG = AuditCheck(name="loss", window=2, seen=2.29, lowest=2.31, highest=2.32)
LOST = AuditCheck(name="correct", window=0, seen=None, lowest=0.1, highest=0.2)
SAID = "audit of trial 7: window 2, mean loss: 2.29, expected 2.31 to 2.32"


def audit(of: str, *checks: AuditCheck, trial: int = 7) -> Audit:
    return Audit(at=0.0, trial=trial, cell=of, checks=checks, held_steps=66)


def audited(run: Run, *audits: Audit) -> Run:
    """``run``, with ``audits`` before its end."""
    return Run(manifest=run.manifest, events=[*run.events[:-1], *audits, run.events[-1]])


def measured(*audits: Audit) -> Run:
    contenders = (Contender("alpha"), Contender("alpha", True), Contender("beta"))
    logs = {each: noise(seed, 5, 3, 0.01) for seed, each in enumerate(contenders)}
    return audited(speed_run(logs), *audits)


GOOD = measured(audit(ALPHA, RIGHT, trial=1), audit(BETA, RIGHT))
BAD = measured(audit(ALPHA, RIGHT, trial=1), audit(BETA, RIGHT, WRONG, LOST))


def test_an_audit_says_every_check_that_failed():
    good, bad = (result for result in Observations(BAD).held if result.audit)
    assert (good.cell, good.passed, good.failures, good.audit) == (ALPHA, True, (), True)
    assert (bad.cell, bad.passed, bad.audit) == (BETA, False, True)
    assert bad.failures == (
        SAID,
        "audit of trial 7: window 0, share of hits: not a finite number, expected 0.1 to 0.2",
    )
    assert audit_verdict(audit(BETA)).passed


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (RIGHT, "window 1, examples trained: 5,632, expected 5,632"),
        (
            AuditCheck(name="weights", tensor="fc.bias", seen=0.25, lowest=0.0, highest=1e-6),
            "deviation from the oracle's weights after the last step (fc.bias): 0.25, "
            "expected at most 1e-06",
        ),
        (
            AuditCheck(name="clock", seen=-2.5, lowest=-0.3, highest=0.4),
            "seconds between question and answer that the worker's clock lacks: -2.5, "
            "expected -0.3 to 0.4",
        ),
    ],
)
def test_a_clause_is_true_and_complete(check, said):
    assert clause(check) == said


def test_proofs_and_audits_count_together():
    held = Observations(BAD).held
    assert [(one.cell, one.audit, one.passed) for one in held] == [
        (ALPHA, False, True),
        (BETA, False, True),
        (ALPHA, True, True),
        (BETA, True, False),
    ]


def test_what_failed_its_audit_is_not_comparable():
    [good] = judge(Observations(GOOD)).verdicts
    assert good.status != "not_comparable"
    [bad] = judge(Observations(BAD)).verdicts
    assert (bad.status, bad.reason, bad.verdict) == ("not_comparable", "audit_failed", None)
    assert bad.detail == f"{BETA}: {SAID}"
    assert bad.times_faster is None
    [group] = judge(Observations(BAD)).groups
    assert [(each.cell, each.reason) for each in group.left_out] == [(BETA, "audit_failed")]
    assert BETA not in [name for tier in group.tiers for name in tier]


def test_one_failed_audit_of_many_is_one_too_many():
    run = measured(*(audit(BETA, RIGHT, trial=number) for number in range(9)), audit(BETA, WRONG))
    assert judge(Observations(run)).verdicts[0].reason == "audit_failed"


def test_an_audit_is_no_proof():
    events = [
        event for event in GOOD.events if not (isinstance(event, Parity) and event.cell == BETA)
    ]
    [verdict] = judge(Observations(Run(manifest=GOOD.manifest, events=events))).verdicts
    assert (verdict.status, verdict.reason) == ("not_comparable", "parity_missing")


def test_a_proof_that_failed_is_named_before_the_audit():
    run = audited(speed_run(
        {Contender("alpha"): noise(1, 5, 3, 0.01), Contender("beta"): noise(2, 5, 3, 0.01)},
        worst={"beta": 1e-3},
    ), audit(BETA, WRONG))  # fmt: skip
    assert judge(Observations(run)).verdicts[0].reason == "parity_failed"


def test_a_gate_says_that_parity_was_lost():
    run = gated()
    beta = next(one.id for one in run.manifest.cells if one.framework == "beta")
    found = gate(Observations(audited(run, audit(beta, RIGHT))))
    assert (found.cells[0].parity, found.exit_code) == ("proved", 0)
    found = gate(Observations(audited(run, audit(beta, WRONG))))
    [lost] = found.cells
    assert (lost.parity, lost.speed, found.exit_code) == ("lost", "not_compared", 3)
    assert "audit of trial 7: window 2, mean loss: 2.29" in lost.detail


def test_exports_and_baselines_leave_it_out():
    assert dict(zip((bad := windows_frame(Observations(BAD))).cell, bad.parity, strict=True)) == {
        ALPHA: "passed",
        BETA: "failed",
    }
    assert set(windows_frame(Observations(GOOD)).parity) == {"passed"}
    assert [(each.cell, each.reason) for each in results(Observations(BAD)).left_out] == [
        (BETA, "audit_failed")
    ]
    assert results(Observations(GOOD)).left_out == ()
    good, bad = run_cells(Observations(BAD))
    assert (good.parity, bool(good.kept)) == ("proved", True)
    assert (bad.parity, bad.kept, bad.lack) == ("lost", None, "what it did while it was timed is "
        "not what it had to do")  # fmt: skip


def test_a_run_whose_audit_failed_ends_with_3():
    assert exit_code(Observations(GOOD)) == 0
    assert exit_code(Observations(BAD)) == 3
    failure = Failure(at=0.0, cell=ALPHA, phase="import", reason="no such library")
    for run, code in ((GOOD, 2), (BAD, 3)):
        broken = Run(manifest=run.manifest, events=[*run.events, failure])
        assert exit_code(Observations(broken)) == code
