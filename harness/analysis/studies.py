"""What a run was made for, and what its command ends with: decided here, for all commands."""

from __future__ import annotations

from typing import Literal

from harness.analysis.gate import gate
from harness.analysis.observations import Observations
from harness.analysis.tax import taxes
from harness.spec.events import Manifest
from harness.spec.suites import TAX

Study = Literal["run", "gate", "tax"]
"""What a run is measured and judged as: any command but ``gate`` and ``tax`` makes a ``run``."""


def study_of(manifest: Manifest) -> Study:
    """The one that the run is."""
    if manifest.gate is not None:
        return "gate"
    return "tax" if manifest.plan.suite == TAX else "run"


def exit_code(run: Observations) -> int:
    """What the command that has made ``run`` ends with.

    0 clean; 1 worse than its limits allow; 2 a cell could not be verified or measured; 3 a proof or
    an audit failed; 4 too noisy. Limits are a gate's and a tax's: a run alone has none.
    """
    study = study_of(run.manifest)
    if study == "gate":
        return gate(run).exit_code
    found = taxes(run) if study == "tax" else ()
    # What differs in its first windows computes under the clock what was not proved.
    if any(each.first_windows_differ for each in found):
        return 3
    if "lost" in run.proofs.values():
        return 3
    if run.failures:
        return 2
    return 1 if any(each.outcome == "missed" for each in found) else 0
