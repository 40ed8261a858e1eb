"""Every time that a cell was held against what it has to compute: proofs, checks and audits."""

from __future__ import annotations

from harness.analysis.audit import audit_verdict
from harness.analysis.dropout import dropout_verdict
from harness.analysis.loaders import loader_verdict
from harness.analysis.parity import ParityResult, parity_verdict
from harness.spec.proof_events import Audit, DropoutCheck, LoaderCheck, Parity


def held_result(event: object) -> ParityResult | None:
    """Whether a cell computed what it had to, as ``event`` shows; nothing of other events."""
    if isinstance(event, Parity):
        return parity_verdict(event)
    if isinstance(event, LoaderCheck):
        return loader_verdict(event)
    if isinstance(event, DropoutCheck):
        verdict = dropout_verdict(event)
        return ParityResult(
            cell=verdict.cell,
            passed=verdict.passed,
            failures=verdict.failures,
            worst_at_step_1=None,
            worst_at_steps_2_to_10=None,
        )
    return audit_verdict(event) if isinstance(event, Audit) else None
