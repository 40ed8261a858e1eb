"""Stored baselines: what earlier runs of one machine showed, cell by cell.

Format history:

* 1 (0.1.0): the first.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from harness.spec.bounds import Count, Rate, Seed, Share

BASELINE_FORMAT_VERSION = 1


class TrainedAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """What a long trial came to."""

    seed: Seed
    epoch: Count
    """The last one that was evaluated."""
    test_accuracy: Share
    """After that epoch, a fraction."""


class BaselineValue(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed of a cell."""

    run: str
    created: str
    """ISO 8601, UTC."""
    git_commit: str | None
    levelfield: str
    blocks: Count
    examples_per_second: Rate
    """Geometric mean over blocks of the median over the block's windows."""
    control_seconds: Annotated[float, msgspec.Meta(ge=1e-9, le=1e9)]
    """Of the control kernel: geometric mean over the same blocks of the block's median."""
    accuracies: tuple[TrainedAccuracy, ...] = ()
    """Of the run's long trials, by seed."""


class BaselineCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell, whatever its version, and what each saved run showed of it."""

    series: str
    """The cell's id without version and variant."""
    conditions: dict[str, str]
    """What was the same in all these runs and must be in one that is compared with them: machine,
    version and packages, data, initial weights, recipe, worker's variables."""
    values: tuple[BaselineValue, ...]
    """In the order of saving."""


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """A file in ``results/baselines/``."""

    format_version: int = BASELINE_FORMAT_VERSION
    cells: tuple[BaselineCell, ...] = ()
