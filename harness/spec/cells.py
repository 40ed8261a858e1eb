"""A cell: the one thing that is measured."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from harness.spec.bounds import Count
from harness.spec.recipes import Recipe

Input = Literal["resident", "loader", "pipeline"]
"""Where a window's batches come from: laid ready by the harness, or by the framework's own data
loader, as its tutorials write it (``loader``) or as an expert does (``pipeline``)."""
INPUTS: tuple[Input, ...] = get_args(Input)
Settings = Literal["matched", "stock"]

OF_BASE = "base-"
"""Begins the variant of a cell that a gate's base computes; its commit follows."""
HANDWRITTEN = "handwritten"
"""The variant of a cell that a script computes, without an adapter."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Recipe + framework + version + mode + input + device + threads + settings."""

    recipe: Recipe
    framework: str
    version: str
    """Version of the framework's own distribution, as installed in its environment."""
    variant: str = ""
    """What sets it apart from a cell that is equal otherwise: a revision of the implementation
    (``base-1a2b3c4d5e6f``), or another requirement beside the framework's own."""
    mode: str
    input: Input = "resident"
    loader_workers: Count = 0
    """Processes or threads of the loader beside the main one."""
    device: str = "cpu"
    threads: Count
    settings: Settings = "matched"

    @property
    def loads(self) -> bool:
        """Whether the framework's own data loader feeds it, in an order of its own."""
        return self.input != "resident"

    @property
    def id(self) -> str:
        """Readable and unique: ``lenet-sgd/NAME-1.2.3/compiled/resident/cpu-2t``."""
        stock = "-stock" if self.settings == "stock" else ""
        return (
            f"{self.recipe.label}/{self._build}/{self.mode}/{self.source}/"
            f"{self.device}-{self.threads}t{stock}"
        )

    @property
    def group(self) -> str:
        """Cells of one group may be compared: they differ only in who computes, and how."""
        return f"{self.recipe.label}/{self.source}/{self.device}-{self.threads}t"

    @property
    def series(self) -> str:
        """The cell, whatever its version and variant: what a gate compares two of."""
        stock = "-stock" if self.settings == "stock" else ""
        return (
            f"{self.recipe.label}/{self.framework}/{self.mode}/{self.source}/"
            f"{self.device}-{self.threads}t{stock}"
        )

    @property
    def of_work_tree(self) -> bool:
        """Whether the implementation as it stands computes it: no gate's base, and no script."""
        return not self.variant.startswith((OF_BASE, HANDWRITTEN))

    @property
    def contender(self) -> str:
        """What sets this cell apart in its group: ``NAME-1.2.3/compiled``."""
        stock = "-stock" if self.settings == "stock" else ""
        return f"{self._build}/{self.mode}{stock}"

    @property
    def _build(self) -> str:
        """``NAME-1.2.3``, or ``NAME-1.2.3~VARIANT``."""
        return f"{self.framework}-{self.version}" + (f"~{self.variant}" if self.variant else "")

    @property
    def source(self) -> str:
        """``resident``, or ``loader-2w`` and ``pipeline-2w`` for those with 2 workers."""
        return f"{self.input}-{self.loader_workers}w" if self.loads else self.input
