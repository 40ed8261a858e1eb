"""How each study judges a run, and what its command ends with: decided here, for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.analysis.gate import gate, groups_undecided
from harness.analysis.observations import Observations
from harness.analysis.tax import taxes
from harness.analysis.verdicts import groups_to_continue
from harness.spec.manifest import Study


def _of_any_run(run: Observations) -> int:
    """3 a proof or an audit failed; 2 a cell could not be verified or measured; else 0."""
    if "lost" in run.proofs.values():
        return 3
    return 2 if run.failures else 0


def _of_a_gate(run: Observations) -> int:
    return gate(run).exit_code


def _of_a_tax(run: Observations) -> int:
    """As of any run; and 1 where an adapter misses its goal."""
    # What differs in its first windows computes under the clock what was not proved.
    if any(tax.first_windows_differ for tax in taxes(run)):
        return 3
    missed = any(tax.outcome == "missed" for tax in taxes(run))
    return _of_any_run(run) or int(missed)


LIMITED: Mapping[Study, Callable[[Observations], int]] = {"gate": _of_a_gate, "tax": _of_a_tax}
"""Studies that have limits of their own → the exit code of a run; others have none."""


def exit_code(run: Observations) -> int:
    """What the command that has made ``run`` ends with.

    0 clean; 1 worse than its limits allow; 2 a cell could not be verified or measured; 3 a proof or
    an audit failed; 4 too noisy.
    """
    return LIMITED.get(run.manifest.study, _of_any_run)(run)


def groups_wanted(run: Observations) -> tuple[str, ...]:
    """Names of the groups that have to go on to the next look of what ``run`` is judged by."""
    return groups_undecided(run) if run.manifest.study == "gate" else groups_to_continue(run)


def judged_as(study: Study) -> Study:
    """``study`` where it has limits of its own, else ``run``: those are gone on with alike."""
    return study if study in LIMITED else "run"
