"""Micro-benchmarks against those of another run: which statistics went beyond their limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import msgspec

from harness.spec.micro import Benchmark, Micro, MicroManifest
from harness.spec.micro_limits import Limit, MicroLimits


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark that became slower, or less steady, than its limit allows."""

    benchmark: str
    """``FRAMEWORK/test_…[…]``."""
    field: str
    """Which statistic."""
    before_seconds: float
    now_seconds: float
    limit: str
    """As it was written: ``median:10%``."""


class MicroComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs' micro-benchmarks. They were not interleaved: whatever changed on the machine in
    between is in every difference."""

    base: str
    """The run that was compared with."""
    compared: int
    """Benchmarks that both have."""
    times: dict[str, tuple[float, float]]
    """Benchmark → median seconds before and now."""
    missing: tuple[str, ...]
    """Those that only the base has."""
    fresh: tuple[str, ...]
    """Those that only the later one has."""
    versions: tuple[str, ...]
    """What is another version now, in words."""
    breaches: tuple[Breach, ...]


COMPARABLE = ("recipe", "dataset", "device", "threads", "settings", "quick")
"""Conditions that two runs must share; batch sizes may differ, and so may what was selected."""


def differing(before: object, now: object, fields: Iterable[str]) -> list[str]:
    """Fields of two records that are not equal, in words: ``threads 2, not 4``."""
    return [
        f"{field.replace('_', ' ')} {getattr(before, field)}, not {getattr(now, field)}"
        for field in fields
        if getattr(before, field) != getattr(now, field)
    ]


def differing_conditions(base: MicroManifest, now: MicroManifest) -> list[str]:
    """What keeps two runs from being compared, in words."""
    return [
        *differing(base.machine, now.machine, ("fingerprint",)),
        *differing(base.conditions, now.conditions, COMPARABLE),
    ]


def earlier_ones(now: MicroManifest, known: Iterable[MicroManifest]) -> list[MicroManifest]:
    """Those of ``known`` that ``now`` may be compared with, the newest first."""
    names = {one.framework for one in now.frameworks}
    found = [
        each
        for each in known
        if each.run != now.run
        and each.created <= now.created
        and not differing_conditions(each, now)
        and names & {one.framework for one in each.frameworks}
    ]
    return sorted(found, key=lambda each: (each.created, each.run), reverse=True)


def compared(base: Micro, now: Micro, limits: MicroLimits) -> MicroComparison:
    """``now`` held against ``base``; only frameworks that ``now`` has are looked at."""
    before = {each.key: each for each in base.benchmarks if each.extra_info.framework in now.files}
    after = {each.key: each for each in now.benchmarks}
    common = [key for key in after if key in before]
    return MicroComparison(
        base=base.manifest.run,
        compared=len(common),
        times={key: (before[key].stats.median, after[key].stats.median) for key in common},
        missing=tuple(key for key in before if key not in after),
        fresh=tuple(key for key in after if key not in before),
        versions=tuple(_versions(base, now)),
        breaches=tuple(
            breach
            for key in common
            for limit in limits.of(key)
            for breach in _breaches(before[key], after[key], limit)
        ),
    )


def exceeds(before: float, now: float, limit: Limit) -> bool:
    """Whether ``now`` is larger than ``before`` by more than ``limit``; at the limit it holds.

    As pytest-benchmark's ``--benchmark-compare-fail`` has it, but that what was 0 and still is has
    not grown.
    """
    if limit.share is None:
        assert limit.seconds is not None
        return now - before > limit.seconds
    if before == 0:
        return now > 0
    return now / before - 1 > limit.share


def _breaches(before: Benchmark, now: Benchmark, limit: Limit) -> Iterator[Breach]:
    old, new = (getattr(each.stats, limit.field) for each in (before, now))
    if math.isnan(old) or math.isnan(new) or not exceeds(old, new, limit):
        return
    yield Breach(
        benchmark=now.key,
        field=limit.field,
        before_seconds=old,
        now_seconds=new,
        limit=limit.text,
    )


def _versions(base: Micro, now: Micro) -> Iterator[str]:
    before = {one.framework: one for one in base.manifest.frameworks}
    for one in now.manifest.frameworks:
        old = before.get(one.framework)
        if one.framework in now.files and old is not None and old.version != one.version:
            yield f"{one.title} {old.version}, now {one.version}"
