"""Micro-benchmarks: what a run's folder holds of them.

``micro/<framework>.json`` is pytest-benchmark's own file, of which the fields that are read stand
here; ``micro.json`` says under which conditions those were made.

Format history of ``micro.json``:

* 1 (0.1.0): the first.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.spec.bounds import Count, Name, Positive, Seconds, Seed
from harness.spec.cells import Settings
from harness.spec.machine import Machine
from harness.spec.proof_events import Parity

MICRO_FORMAT_VERSION = 1

Direction = Literal["", "forward", "forward_backward"]


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """``extra_info`` of a benchmark: what was computed, and how much of it."""

    framework: str
    mode: str = ""
    """Empty where a benchmark is for none, as that of the copy."""
    piece: str
    """``forward``, ``forward_backward``, ``train_step``, ``optimizer_step``, ``layer``,
    ``staging``, ``gather``, ``evaluation``, ``latency``, ``matmul`` or ``copy``."""
    layer: str = ""
    """Name of the layer, where ``piece`` is one."""
    direction: Direction = ""
    batch_size: Count | None = None
    examples: Count | None = None
    """Of one call."""
    flops: Count | None = None
    """Floating-point operations of one call: a multiplication with its addition counts two."""
    bytes: Count | None = None
    """Least traffic of one call: every input read once, every output written once."""
    device: str
    threads: Count
    first_call_seconds: Seconds | None = None
    """Of the first call of all, compilation included; not part of the statistics."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """pytest-benchmark's statistics over rounds: wall seconds of one call."""

    min: Seconds
    max: Seconds
    mean: Seconds
    stddev: Seconds
    median: Seconds
    iqr: Seconds
    rounds: Count
    iterations: Count
    """Calls of a round."""


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """One measured test."""

    name: str
    """With its parameters: ``test_train_step[compiled-256]``."""
    extra_info: Extra
    stats: Stats

    @property
    def key(self) -> str:
        """What it is called in comparisons and settings: ``FRAMEWORK/test_…[…]``."""
        return f"{self.extra_info.framework}/{self.name}"


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What a framework took before its first step was done."""

    framework: str
    version: str
    import_seconds: Seconds
    build_seconds: dict[str, Seconds] = {}
    """Mode → making the model with its weights on the device."""
    first_step_seconds: dict[str, Seconds] = {}
    """Mode → the first training step, with what is compiled for it."""
    without_pieces: dict[str, str] = {}
    """Mode → why the parts of its step can't be measured."""


class MicroFile(msgspec.Struct, frozen=True, kw_only=True):
    """A framework's file, as pytest-benchmark writes it."""

    version: str
    """Of pytest-benchmark."""
    datetime: str
    benchmarks: tuple[Benchmark, ...]
    start: Start | None = msgspec.field(name="levelfield", default=None)
    """What was seen before the first benchmark, where the file says it."""


class MicroFramework(msgspec.Struct, frozen=True, kw_only=True):
    """One framework, and what can be said of it without running it."""

    framework: Name
    title: str
    version: str
    modes: tuple[str, ...]
    """Those that were to be measured."""
    environment: str
    """Key of its environment."""
    environment_bytes: Count
    """Of all files in the environment's folder, as it was made; 0 where it was there already."""
    model_lines: dict[str, Count] = {}
    """Model → lines of its code, without blank lines, comments and docstrings."""


class MicroConditions(msgspec.Struct, frozen=True, kw_only=True):
    """What all files of one folder have in common; only equal ones are compared."""

    recipe: str
    """Whose model and optimizer were taken apart."""
    model: str
    dataset: str
    device: str
    threads: Count
    settings: Settings
    seed: Seed
    batch_sizes: tuple[Positive, ...]
    quick: bool = False
    """Whether so few rounds were taken that times say little."""


class MicroFailure(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be measured, and why."""

    framework: str
    what: str
    """The framework's title, with the mode where only one is meant."""
    phase: str
    reason: str
    """One line."""
    detail: str = ""
    """The tail of what was printed."""


class MicroManifest(msgspec.Struct, frozen=True, kw_only=True):
    """``micro.json``: written before the first benchmark, and anew after each framework."""

    format_version: int = MICRO_FORMAT_VERSION
    run: str
    created: str
    """ISO 8601, UTC."""
    levelfield: str
    command: tuple[str, ...]
    machine: Machine
    conditions: MicroConditions
    select: str = ""
    """What ``-k`` asked for; empty: all benchmarks."""
    frameworks: tuple[MicroFramework, ...]
    proofs: tuple[Parity, ...] = ()
    """Each measured cell, held against the oracle before."""
    failures: tuple[MicroFailure, ...] = ()
    skips: tuple[str, ...] = ()
    """What was left out for a declared reason."""


class Micro(msgspec.Struct, frozen=True, kw_only=True):
    """The micro-benchmarks of a run, read back."""

    manifest: MicroManifest
    files: dict[str, MicroFile]
    """Framework → its file; one that failed or was not reached has none."""

    @property
    def benchmarks(self) -> tuple[Benchmark, ...]:
        """Of all frameworks, in the manifest's order."""
        names = [one.framework for one in self.manifest.frameworks]
        return tuple(
            benchmark
            for name in names
            if name in self.files
            for benchmark in self.files[name].benchmarks
        )
