"""What was planned, with what, and where: ``run.json``, and a run as it is read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.spec.bounds import Count, Seconds, Seed
from harness.spec.cells import Cell
from harness.spec.events import FORMAT_VERSION, AnyEvent
from harness.spec.gates import GateTerms
from harness.spec.machine import Environment, Machine


class DatasetUsed(msgspec.Struct, frozen=True, kw_only=True):
    """The dataset of a run."""

    name: str
    source: str
    """Where it was found: ``data-dir``, ``cache``, ``system``, ``download``, ``embedded``."""
    place: str
    sha256: str
    """As ``Hashes.data``."""
    train_examples: Count
    test_examples: Count
    fallback_for: str | None = None
    """The dataset that was asked for, where this one stands in for it."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Cells that are compared with each other."""

    name: str
    cells: tuple[str, ...]
    """Cell ids; the first is the reference contender."""
    title: str = ""
    rounds: Count | None = None
    """Rounds of a short block of this group; none: the plan's."""
    window_steps: Count | None = None
    """Timed steps of a window of this group; none: the plan's."""
    long_trials: bool = True
    """Whether its cells have long trials where the plan has: numbers of threads leave a training
    what it is, so that it is made once, with the most of them."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the run set out to do, fixed before the first measurement."""

    suite: str
    groups: tuple[Group, ...]
    looks: tuple[Count, ...]
    """Numbers of blocks after which verdicts are looked at: (10, 20), or the one that was asked."""
    rounds: Count
    window_steps: Count
    lead_in_steps: Count
    long_trials: bool
    aa: bool
    seed: Seed
    """Of the short trials, and of what is drawn for the run as a whole."""
    seeds: tuple[Seed, ...] = ()
    """Of the long trials: one long block of each group for each, numbered from 0."""
    budget_seconds: Seconds | None = None
    timeout_seconds: Seconds | None = None
    """After which a silent worker is taken for hung, where the user has said so."""
    fresh: bool = False
    """Whether proofs of earlier runs are not taken over."""


Study = Literal["run", "verify", "reproduce", "compare", "gate", "tax", "micro"]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``run.json``: all that is known before the first measurement."""

    format_version: int = FORMAT_VERSION
    run: str
    created: str
    """ISO 8601, UTC."""
    levelfield: str
    study: Study = "run"
    """The command that makes such a run, which says how it is judged."""
    command: tuple[str, ...]
    """The command line that makes such a run, from ``levelfield`` on."""
    git_commit: str | None
    """Of the checkout that holds the implementations, the user's own before ours; with ``+`` where
    it has changes."""
    machine: Machine
    environments: tuple[Environment, ...]
    cells: tuple[Cell, ...]
    titles: dict[str, str]
    """Framework → its own spelling."""
    plan: Plan
    datasets: tuple[DatasetUsed, ...]
    worker_environment: dict[str, dict[str, str]]
    """Cell id → the environment variables that its workers got, with ``~`` for the home folder."""
    harness: dict[str, str] = {}
    """Versions of the harness's own Python and of NumPy, which computes the control kernel."""
    code: dict[str, str] = {}
    """``NAME`` or ``NAME~VARIANT`` of an implementation → digest of the files in its folder and of
    the worker's own code."""
    gate: GateTerms | None = None
    """What the run is judged by, where it is a gate."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A stored run, read back."""

    manifest: Manifest
    events: Sequence[AnyEvent]
