"""What micro-benchmarks rest on: proofs that came before, and files of the same conditions."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from harness.analysis.micro_check import differing, differing_conditions
from harness.analysis.parity import parity_verdict
from harness.errors import UsageError
from harness.spec.events import Failure
from harness.spec.manifest import Run
from harness.spec.micro import Micro, MicroConditions, MicroFailure, MicroManifest
from harness.spec.proof_events import Parity


def proved_modes(proofs: Run) -> dict[str, tuple[str, ...]]:
    """Framework → its modes that passed their proof."""
    passed = {
        event.cell
        for event in proofs.events
        if isinstance(event, Parity) and parity_verdict(event).passed
    }
    modes: dict[str, tuple[str, ...]] = {}
    for cell in proofs.manifest.cells:
        if cell.id in passed:
            modes[cell.framework] = (*modes.get(cell.framework, ()), cell.mode)
    return modes


def merged(before: MicroManifest, now: MicroManifest) -> MicroManifest:
    """``now``, with the frameworks of ``before`` that it does not measure again.

    Raises:
        UsageError: they were measured under other conditions.
    """
    fresh = {one.framework: one for one in now.frameworks}
    kept = {one.framework: one for one in before.frameworks if one.framework not in fresh}
    what = differing(before.conditions, now.conditions, MicroConditions.__struct_fields__)
    if kept and what:
        raise UsageError(
            f"{before.run} holds micro-benchmarks of {', '.join(kept)} with {'; '.join(what)}, "
            "expected the same: measure like that, or without --run"
        )
    order = dict.fromkeys(one.framework for one in (*before.frameworks, *now.frameworks))
    return msgspec.structs.replace(
        now,
        frameworks=tuple({**kept, **fresh}[name] for name in order),
        proofs=(*(one for one in before.proofs if _framework_of(one) in kept), *now.proofs),
        failures=(*(one for one in before.failures if one.framework in kept), *now.failures),
        skips=tuple(dict.fromkeys((*before.skips, *now.skips))),
    )


def _framework_of(proof: Parity) -> str:
    """Its cell's id is ``RECIPE/FRAMEWORK-VERSION/…``."""
    return proof.cell.split("/")[1].rsplit("-", 1)[0]


def check_comparable(base: Micro, now: MicroManifest) -> None:
    """``base`` was made on the same machine and under the same conditions.

    Raises:
        UsageError: it was not.
    """
    what = differing_conditions(base.manifest, now)
    if what:
        raise UsageError(
            f"{base.manifest.run} was measured with {'; '.join(what)}, expected the same: "
            "compare with another run"
        )


def unproved(proofs: Run) -> Iterator[MicroFailure]:
    """The cells that can't be measured, as what they compute is not proved."""
    cells = {cell.id: cell for cell in proofs.manifest.cells}
    for event in proofs.events:
        if isinstance(event, Failure):
            phase, reason, detail = event.phase, event.reason, event.detail
        elif isinstance(event, Parity) and not parity_verdict(event).passed:
            phase, detail = "parity", ""
            reason = "; ".join(parity_verdict(event).failures)
        else:
            continue
        cell = cells[event.cell]
        title = proofs.manifest.titles.get(cell.framework, cell.framework)
        yield MicroFailure(
            framework=cell.framework,
            what=f"{title} {cell.version}, {cell.mode}",
            phase=phase,
            reason=reason,
            detail=detail,
        )
