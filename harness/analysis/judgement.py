"""The records that ``verdicts.judge`` answers with."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.analysis.estimate import Interval
from harness.analysis.parity import ParityResult

Word = Literal["faster", "slower", "equivalent", "inconclusive"]
Status = Literal["judged", "indicative", "not_comparable", "not_measured"]
Reason = Literal[
    "difference",
    "equivalence",
    "not_settled",
    "aa_failed",
    "parity_failed",
    "audit_failed",
    "parity_missing",
    "hashes_differ",
    "device_differs",
    "not_measured",
    "no_noise_floor",
    "too_few_blocks",
    "look_not_reached",
    "foreign_load",
]

REASONS: dict[Reason, str] = {
    "difference": "the difference is larger than chance explains",
    "equivalence": "the whole interval lies within ±3 %",
    "not_settled": "neither a difference nor equivalence is shown",
    "aa_failed": "the reference differed from its own second copy, so no difference can be trusted",
    "parity_failed": "it does not compute what the oracle computes",
    "audit_failed": "what it did while it was timed is not what it had to do",
    "parity_missing": "it was never held against the oracle",
    "hashes_differ": "the contenders did not get the same data, weights or order",
    "device_differs": "it did not run on the device that was asked for",
    "not_measured": "there is no finished block with both contenders",
    "no_noise_floor": "the reference did not run twice, so the noise is unknown",
    "too_few_blocks": "a verdict needs at least 5 blocks with both contenders",
    "look_not_reached": "the run ended before its first planned look",
    "foreign_load": "others took so much CPU time from the threads that this alone may have made "
    "or hidden a difference",
}
"""Reason → what it means, as a clause."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A number of blocks after which verdicts are made, and at what levels."""

    blocks: int
    difference_alpha: float
    """A difference is claimed where the Holm-adjusted p is below it."""
    equivalence_alpha: float
    """Of each of the two one-sided tests: the interval has confidence 1 − 2α."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One contender (``cell``) against another (``against``) of its group."""

    group: str
    cell: str
    against: str
    """The one that comes first in the group: the reference contender, where it takes part."""
    status: Status
    """``judged``: there is a verdict. ``indicative``: numbers without one. ``not_comparable``:
    not even numbers. ``not_measured``: no block has both."""
    verdict: Word | None
    """Of ``cell``; only where ``judged``."""
    reason: Reason
    detail: str = ""
    """What exactly stands in the way: which hash, which check, which failure."""
    times_faster: float | None = None
    """Examples/s of ``cell`` ÷ those of ``against``: above 1, ``cell`` is the faster one."""
    interval: Interval | None = None
    """Of ``times_faster``, at 1 − α of the look for differences; not adjusted for the family."""
    equivalence_interval: Interval | None = None
    """Of ``times_faster``, at 1 − 2α of the look for equivalence: the one that is held against
    ±3 %."""
    p: float | None = None
    """Two-sided, of no difference; only where ``judged``."""
    p_adjusted: float | None = None
    """By Holm's method, within all pairs of contenders of the run."""
    blocks: int = 0
    """Blocks with both contenders that the numbers above rest on."""
    look: Look | None = None
    """The look that made the verdict."""
    noise_floor: Interval | None = None
    """``NoiseFloor.interval`` of the group: what the reference shows against itself."""
    blocks_to_settle: int | None = None
    """Blocks that would settle it if mean and SD stayed as they are; 1001 means more than 1,000.
    Only where ``not_settled``."""
    times_faster_by_total_time: float | None = None
    """As ``times_faster``, of all examples ÷ all seconds: stalls weigh what they cost."""
    stalling: str | None = None
    """The one cell of the two that stalls now and then, where exactly one does."""
    times_faster_by_block: tuple[float, ...] = ()
    """In the order of finishing, only blocks with both contenders."""
    taken_cpus: float | None = None
    """CPUs that others took, in the blocks above, from the threads of the one that lost more; at
    most 1. Nothing where it is not known, as on a GPU."""
    confounders: tuple[str, ...] = ()
    """What else differs between two environments of one framework, as clauses: the difference may
    come from there."""


class NoiseFloor(msgspec.Struct, frozen=True, kw_only=True):
    """The reference contender against its own second copy (A/A)."""

    group: str
    cell: str
    verdict: Word | None
    """Of the second copy; nothing below 5 blocks or before the first look."""
    failed: bool
    """Whether it came out ``faster`` or ``slower`` at any look: then nothing is conclusive."""
    times_faster: float
    """Examples/s of the second copy ÷ those of the first: 1, but for noise."""
    interval: Interval | None
    """As ``Verdict.interval``; nothing below 2 blocks."""
    equivalence_interval: Interval | None
    p: float | None
    p_adjusted: float | None
    """By Holm's method within the A/A pairs of the run, one a group."""
    blocks: int
    look: Look | None
    times_faster_by_block: tuple[float, ...]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one contender trained, over all finished short blocks."""

    group: str
    cell: str
    twin: bool
    """Whether this is the reference contender's second copy."""
    blocks: int
    examples_per_second: float
    """Geometric mean over blocks of the median over the block's windows."""
    interval: Interval | None
    """Of ``examples_per_second``, 95 %; nothing below 2 blocks."""
    examples_per_second_by_block: tuple[float, ...]
    """In the order of finishing, only blocks with this contender."""
    examples_per_second_by_total_time: float
    """All examples ÷ all seconds of its windows: stalls weigh what they cost."""
    effective_threads: float
    """CPU seconds ÷ wall seconds, within windows."""
    waiting_cpu_share: float
    """CPU seconds ÷ wall seconds while it waited for its turn: close to 0, or it disturbed the
    others."""


class BlockFlag(msgspec.Struct, frozen=True, kw_only=True):
    """A short block during which the machine was not at rest. It is shown, and it counts."""

    group: str
    block: int
    kind: Literal["steal", "control", "foreign"]
    """``steal``: the hypervisor gave CPU time to others. ``control``: the fixed matrix product
    took another time than in the rest of the run. ``foreign``: others, the hypervisor's among
    them, took CPUs from the threads of a contender."""
    value: float
    """``steal``: share of all CPUs' time. ``control``: the block's median ÷ the run's, minus 1.
    ``foreign``: CPUs, of the contender that lost most."""
    limit: float
    """``value`` lies beyond it, on either side."""


class ContenderFlag(msgspec.Struct, frozen=True, kw_only=True):
    """Something about one contender that a reader should know before the verdicts."""

    group: str
    cell: str
    twin: bool
    kind: Literal["periodic_stalls", "busy_while_waiting", "more_threads_than_set"]
    value: float
    """``periodic_stalls``: typical rate ÷ rate by total time, minus 1. ``busy_while_waiting``:
    CPU ÷ wall seconds of its waiting. ``more_threads_than_set``: effective ÷ set threads, minus
    1."""
    limit: float


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of a group that cannot be ranked, whatever the others do."""

    cell: str
    reason: Reason
    detail: str = ""


class GroupJudgement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one group."""

    group: str
    reference: str
    """Cell id."""
    blocks: int
    """Finished short blocks."""
    noise_floor: NoiseFloor | None
    left_out: tuple[LeftOut, ...]
    tiers: tuple[tuple[str, ...], ...]
    """Cell ids, fastest first: every cell of a tier is ``faster`` than every cell of a later one.
    Empty where anything is open: inconclusive pairs are never ranked."""
    unranked_reason: Reason | None
    """Why there are no tiers; nothing where there are, or where fewer than two cells remain."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run's events say about speed and parity."""

    groups: tuple[GroupJudgement, ...]
    verdicts: tuple[Verdict, ...]
    """All pairs of each group, in the order of the plan."""
    rates: tuple[Rate, ...]
    parity: tuple[ParityResult, ...]
    looks: tuple[Look, ...]
    """As planned."""
    block_flags: tuple[BlockFlag, ...]
    contender_flags: tuple[ContenderFlag, ...]


def mirrored(verdict: Verdict) -> Verdict:
    """The same, read the other way round: of ``against`` against ``cell``."""
    opposite: dict[Word | None, Word] = {"faster": "slower", "slower": "faster"}
    return msgspec.structs.replace(
        verdict,
        cell=verdict.against,
        against=verdict.cell,
        verdict=opposite.get(verdict.verdict, verdict.verdict),
        times_faster=_inverse(verdict.times_faster),
        interval=_inverse_interval(verdict.interval),
        equivalence_interval=_inverse_interval(verdict.equivalence_interval),
        times_faster_by_total_time=_inverse(verdict.times_faster_by_total_time),
        times_faster_by_block=tuple(1 / each for each in verdict.times_faster_by_block),
    )


def _inverse(ratio: float | None) -> float | None:
    return None if ratio is None else 1 / ratio


def _inverse_interval(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    return Interval(low=1 / interval.high, high=1 / interval.low, confidence=interval.confidence)
