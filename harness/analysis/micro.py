"""Micro-benchmarks read: achieved rates, the machine's roofs, and where a step's time goes.

The roofline is that of Williams, Waterman and Patterson, "Roofline: an insightful visual
performance model for multicore architectures", Communications of the ACM 52 (4), 2009: what a
computation can reach is the lesser of the machine's peak and of its bandwidth × the computation's
intensity.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import msgspec

from harness.spec.micro import Benchmark, Direction, Micro

PEAK = "matmul"
BANDWIDTH = "copy"
STEADY_SHARE = 0.25


class Roofs(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine can do, by the best that any framework of the run achieved."""

    flops_per_second: float | None = None
    """Of the matrix product."""
    flops_by: str = ""
    """The framework that achieved it."""
    bytes_per_second: float | None = None
    """Of the copy, reads and writes together."""
    bytes_by: str = ""

    def attainable(self, intensity: float) -> float | None:
        """FLOP/s that a computation of ``intensity`` (FLOP per byte) can reach."""
        if self.flops_per_second is None or self.bytes_per_second is None:
            return None
        return min(self.flops_per_second, self.bytes_per_second * intensity)


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark, with what follows from its time."""

    framework: str
    name: str
    mode: str
    piece: str
    layer: str
    direction: Direction
    batch_size: int | None
    seconds: float
    """Median over rounds, of one call."""
    iqr_seconds: float
    rounds: int
    examples_per_second: float | None
    flops_per_second: float | None
    bytes_per_second: float | None
    intensity: float | None
    """FLOP per byte."""
    share_of_peak: float | None
    """Of the matrix product's FLOP/s."""
    share_of_bandwidth: float | None
    """Of the copy's bytes per second; above 1 where the data stay in a cache."""
    share_of_roof: float | None
    """Of what its intensity allows."""


class LayerTime(msgspec.Struct, frozen=True, kw_only=True):
    """A layer's part of a step."""

    layer: str
    forward_seconds: float
    backward_seconds: float
    """Forward and backward together, less forward alone: a difference of two medians."""

    @property
    def seconds(self) -> float:
        """Both."""
        return self.forward_seconds + self.backward_seconds

    @property
    def kind(self) -> str:
        """``conv`` for ``conv2``."""
        return re.sub(r"\d+$", "", self.layer)


class StepTime(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of one training step goes."""

    framework: str
    mode: str
    batch_size: int
    seconds: float
    """Of the whole step."""
    layers: tuple[LayerTime, ...]
    """In the model's order."""
    optimizer_seconds: float | None
    rest_seconds: float
    """The step less all of that: loss, and what holds the parts together. Negative where a step is
    faster than its parts one by one, as fusing them makes it."""

    def share(self, seconds: float) -> float:
        """Of the whole step."""
        return seconds / self.seconds


def roofs_of(benchmarks: Iterable[Benchmark]) -> Roofs:
    """The best matrix product and the best copy among ``benchmarks``."""
    best: dict[str, tuple[float, str]] = {}
    for each in benchmarks:
        extra = each.extra_info
        work = {PEAK: extra.flops, BANDWIDTH: extra.bytes}.get(extra.piece)
        rate = _per_second(work, each.stats.median)
        if rate is not None and rate > best.get(extra.piece, (0.0, ""))[0]:
            best[extra.piece] = (rate, extra.framework)
    flops, flops_by = best.get(PEAK, (None, ""))
    moved, moved_by = best.get(BANDWIDTH, (None, ""))
    return Roofs(
        flops_per_second=flops, flops_by=flops_by, bytes_per_second=moved, bytes_by=moved_by
    )


def measures(micro: Micro) -> tuple[Measure, ...]:
    """Every benchmark of ``micro``, in order."""
    roofs = roofs_of(micro.benchmarks)
    return tuple(measure(each, roofs) for each in micro.benchmarks)


def measure(benchmark: Benchmark, roofs: Roofs) -> Measure:
    """``benchmark`` under ``roofs``."""
    extra, seconds = benchmark.extra_info, benchmark.stats.median
    flops = _per_second(extra.flops, seconds)
    moved = _per_second(extra.bytes, seconds)
    intensity = extra.flops / extra.bytes if extra.flops and extra.bytes else None
    attainable = None if intensity is None else roofs.attainable(intensity)
    return Measure(
        framework=extra.framework,
        name=benchmark.name,
        mode=extra.mode,
        piece=extra.piece,
        layer=extra.layer,
        direction=extra.direction,
        batch_size=extra.batch_size,
        seconds=seconds,
        iqr_seconds=benchmark.stats.iqr,
        rounds=benchmark.stats.rounds,
        examples_per_second=_per_second(extra.examples, seconds),
        flops_per_second=flops,
        bytes_per_second=moved,
        intensity=intensity,
        share_of_peak=_share(flops, roofs.flops_per_second),
        share_of_bandwidth=_share(moved, roofs.bytes_per_second),
        share_of_roof=_share(flops, attainable),
    )


def unsteady(found: Iterable[Measure]) -> tuple[Measure, ...]:
    """Those whose middle half of rounds spreads over more than ``STEADY_SHARE`` of the median."""
    return tuple(each for each in found if each.iqr_seconds > STEADY_SHARE * each.seconds)


def step_times(found: Sequence[Measure]) -> tuple[StepTime, ...]:
    """A step of every framework, mode and batch size whose whole and layers were measured."""
    steps = []
    for whole in found:
        if whole.piece != "train_step" or whole.batch_size is None:
            continue
        own = [
            each
            for each in found
            if (each.framework, each.mode, each.batch_size)
            == (whole.framework, whole.mode, whole.batch_size)
        ]
        layers = _layers(own)
        if not layers:
            continue
        optimizer = optimizer_seconds(found, whole)
        parts = math.fsum(each.seconds for each in layers) + (optimizer or 0.0)
        steps.append(
            StepTime(
                framework=whole.framework,
                mode=whole.mode,
                batch_size=whole.batch_size,
                seconds=whole.seconds,
                layers=layers,
                optimizer_seconds=optimizer,
                rest_seconds=whole.seconds - parts,
            )
        )
    return tuple(steps)


def optimizer_seconds(found: Sequence[Measure], whole: Measure) -> float | None:
    """The optimizer's part of the step ``whole``: its work does not depend on the batch size, so
    that where it was measured once for all of them, that one stands for each."""
    own = [
        each
        for each in found
        if (each.piece, each.framework, each.mode)
        == ("optimizer_step", whole.framework, whole.mode)
    ]
    same = [each for each in own if each.batch_size == whole.batch_size]
    return (same or own)[0].seconds if own else None


def _layers(own: Sequence[Measure]) -> tuple[LayerTime, ...]:
    """The layers whose both directions were measured."""
    seconds = {(each.layer, each.direction): each.seconds for each in own if each.piece == "layer"}
    return tuple(
        LayerTime(
            layer=layer,
            forward_seconds=forward,
            backward_seconds=seconds[layer, "forward_backward"] - forward,
        )
        for (layer, direction), forward in seconds.items()
        if direction == "forward" and (layer, "forward_backward") in seconds
    )


def _per_second(work: float | None, seconds: float) -> float | None:
    return work / seconds if work and seconds > 0 else None


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None else part / whole
