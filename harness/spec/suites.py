"""Suites: named sets of cells, and how long to look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from harness.files import table_of
from harness.spec.bounds import Count, Positive
from harness.spec.tables import record

TAX = "tax"
"""Name of the suite of adapters against loops written by hand."""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite changes for one recipe."""

    batch_size: Positive | None = None
    """Another cell than the recipe's, and labelled so."""
    rounds: Positive | None = None
    window_steps: Positive | None = None


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """What ``levelfield run NAME`` measures where the command line says nothing else."""

    name: str
    description: str
    recipes: tuple[str, ...]
    frameworks: tuple[str, ...] = ()
    """Order of the contenders, the reference contender first. Implementations that the user brings
    along (``--impl-dir``) follow; none: every one that there is."""
    every_framework: bool = False
    """Whether all the others of the suite's own follow too."""
    modes: tuple[str, ...] = ()
    """Modes to measure; none: each implementation's own ``default_mode`` for the
    device."""
    extra_contenders: tuple[tuple[str, str], ...] = ()
    """(framework, mode) pairs measured beside those."""
    device: Literal["cpu", "gpu"] = "cpu"
    epochs: Count | None = None
    """Epochs of the long trials; none: the recipe's own."""
    long_trials: bool = True
    """Whether each cell is also trained for the whole recipe, for its accuracy curve."""
    seeds: Count = 1
    """Long trials of each cell, each with another seed: other initial weights, another order."""
    blocks: Count | None = None
    """Blocks of short trials; none: a look after 10 and, where that left a pair open, after 20."""
    rounds: Positive = 10
    """Timed windows of each contender in a block."""
    window_steps: Positive = 20
    """Timed steps in a window, so many that a window takes 0.3 to 1 s."""
    window_examples: Positive | None = None
    """Of a window, in place of ``window_steps``, where a suite's batches differ in size."""
    overrides: dict[str, Override] = {}
    """Recipe → what is different for it, such as a batch that a CPU can train in a second."""
    aa: bool = True
    """Whether the reference contender runs twice, which gives the noise floor."""

    def override(self, recipe: str) -> Override:
        """What is different for ``recipe``; most often nothing."""
        return self.overrides.get(recipe, Override())


def read_suites(folder: Path) -> dict[str, Suite]:
    """Name → suite, for every ``*.toml`` in ``folder``.

    Raises:
        UnreadableFile: a file holds no TOML.
        msgspec.ValidationError: a field is missing, unknown or of another type.
    """
    suites = {}
    for path in sorted(folder.glob("*.toml")):
        table = table_of(path)
        suites[path.stem] = record({"name": path.stem, **table}, Suite)
    return suites
