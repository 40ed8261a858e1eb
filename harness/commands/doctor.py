"""``levelfield doctor``: what disturbs measurements here, and what size of difference they show."""

from __future__ import annotations

import os
import time

import msgspec

from harness.analysis.resolution import Resolution, Spread, resolutions, spread_of
from harness.commands.catalogue import Catalogue
from harness.commands.itself import against_itself
from harness.console import Console
from harness.environments.diagnosis import Finding, diagnose
from harness.errors import WorkplaceError
from harness.report.formats import bounds, count, percent, times

PAUSE_SECONDS = 1.0


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What ``doctor --json`` says."""

    findings: tuple[Finding, ...]
    measured: str
    """What ran against its own second copy; empty where nothing was to run."""
    spread: Spread | None
    block_seconds: float | None
    """Of a block of two contenders and the reference's second copy, their start included."""
    resolutions: tuple[Resolution, ...]
    summary: str
    """All that in one line; empty where nothing was to run."""


def show_diagnosis(
    console: Console, catalogue: Catalogue, seconds: float, framework: str | None = None
) -> None:
    """Findings, an A/A of about ``seconds`` and what follows from it are shown; 0: no A/A.

    ``framework``: see ``against_itself``.

    Raises:
        UsageError: there is no such framework.
        WorkplaceError: the A/A failed.
    """
    usual = catalogue.suites["cpu"].frameworks
    frameworks = [one for name, one in catalogue.implementations.items() if name in usual]
    needed_mib = sum(one.memory_mib for one in frameworks) + max(
        (one.memory_mib for one in frameworks), default=0
    )
    findings = diagnose(
        lambda: time.sleep(PAUSE_SECONDS),
        needed_memory_bytes=needed_mib * 2**20,
        own_processes=[os.getpid()],
    )
    rows = [(one.mark.replace("unknown", "?"), one.what, one.seen, one.advice) for one in findings]
    console.table("This machine", ("", "what", "seen", "what to do"), rows)
    if seconds <= 0:
        console.answer(
            Diagnosis(
                findings=findings,
                measured="",
                spread=None,
                block_seconds=None,
                resolutions=(),
                summary="",
            )
        )
        return
    ran = against_itself(console, catalogue, seconds, framework)
    spread = spread_of(ran.logs)
    if spread is None or spread.sd is None:
        raise WorkplaceError(
            f"Nothing could be learned from {ran.what} against itself: give it more --seconds"
        )
    found = resolutions(spread.sd, ran.block_seconds)
    interval = "" if spread.interval is None else f" {bounds(spread.interval)}"
    console.result(
        f"Against itself, {ran.what} ran at {times(spread.times_faster)}{interval} in "
        f"{count(spread.blocks, 'block')}, a block's SD being {percent(spread.sd)}."
    )
    summary = summary_of(found)
    console.result(summary)
    console.answer(
        Diagnosis(
            findings=findings,
            measured=ran.what,
            spread=spread,
            block_seconds=ran.block_seconds,
            resolutions=found,
            summary=summary,
        )
    )


def summary_of(found: tuple[Resolution, ...]) -> str:
    """One line: what size of difference can be shown, and how soon."""
    parts = []
    for one in found:
        if one.least_difference is None:
            few = count(one.blocks, "block")
            parts.append(f"in {one.minutes} minutes none, as {few} are too few for a verdict")
        else:
            parts.append(f"in {one.minutes} minutes {percent(one.least_difference)}")
    return f"Differences that this machine can show, four times of five: {'; '.join(parts)}."
