"""Gates made up for tests."""

from __future__ import annotations

import math

import msgspec

from harness.spec.gates import GateTerms
from harness.spec.manifest import Run

from .runs import Contender, noise, run_of, seeds_events, short_events

BASE, TWIN, HEAD = Contender("alpha"), Contender("alpha", True), Contender("beta")
USUAL = GateTerms(base="main")


def gated(
    slowdown: float = 0.0,
    *,
    sd: float = 0.01,
    blocks: int = 10,
    twin_shift: float = 0.0,
    losses: tuple[float, ...] = (),
    terms: GateTerms = USUAL,
    looks: tuple[int, ...] = (),
    **how: object,
) -> Run:
    """A gate of one cell, whose head takes ``1 + slowdown`` times as long."""
    logs = {
        BASE: noise(1, blocks, 3, sd),
        TWIN: noise(2, blocks, 3, sd, shift=twin_shift),
        HEAD: noise(3, blocks, 3, sd, shift=-math.log1p(slowdown)),
    }
    events = short_events(logs)
    if losses:
        accuracies = {
            "alpha": [(0.6, 0.75)] * len(losses),
            "beta": [(0.6, 0.75 - x) for x in losses],
        }
        events += seeds_events(accuracies)
    run = run_of(events, ["alpha", "beta"], looks=looks or (blocks,), **how)  # type: ignore[arg-type]
    manifest = msgspec.structs.replace(run.manifest, study="gate", gate=terms)
    return Run(manifest=manifest, events=run.events)
