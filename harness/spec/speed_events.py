"""The events of a run as far as its speed goes: what is decoded where a thousand runs are read.

Each carries the fields of its namesake in ``events`` that are named here, and nothing else.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import get_args

import msgspec

from harness.spec.bounds import Count, Seconds
from harness.spec.events import AnyEvent, Header
from harness.spec.proof_events import Audit, DropoutCheck, LoaderCheck, Parity


class SpeedTrialStarted(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trial_started"
):
    """As ``TrialStarted``."""

    trial: Count
    cell: str
    twin: bool = False


class SpeedWindow(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="event", tag="window"
):
    """As ``Window``."""

    trial: Count
    round: Count
    examples: Count
    wall_seconds: Seconds
    control_seconds: Seconds


class SpeedTrialFinished(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trial_finished"
):
    """As ``TrialFinished``."""

    trial: Count


class SpeedBlockFinished(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="block_finished"
):
    """As ``BlockFinished``."""

    block: Count
    group: str
    long: bool
    trials: tuple[Count, ...]


SpeedEvent = (
    SpeedWindow
    | SpeedTrialStarted
    | SpeedTrialFinished
    | SpeedBlockFinished
    | Parity
    | LoaderCheck
    | DropoutCheck
    | Audit
)
"""What tells of speed, and of what shows that it is worth comparing: proofs, checks and audits."""


def speed_decoder() -> msgspec.json.Decoder[object]:
    """Decodes any event: those above, ``Header``, and the others as records without fields.

    The others are known, so that what is no event at all is still found out.
    """
    kept: list[type[msgspec.Struct]] = [*get_args(SpeedEvent), Header]
    known = {kind.__struct_config__.tag for kind in get_args(AnyEvent)}
    rest = sorted(known - {kind.__struct_config__.tag for kind in kept})
    ignored = [msgspec.defstruct(tag, [], tag_field="event", tag=tag) for tag in rest]
    return msgspec.json.Decoder(reduce(or_, [*kept, *ignored]))
