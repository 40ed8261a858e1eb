"""Runs read for their speed alone: a thousand of them in seconds, one at a time in memory."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import cast, get_args

from harness.spec.speed_events import SpeedEvent, speed_decoder
from harness.store.references import Ledger
from harness.store.runs import read_events

_KINDS = get_args(SpeedEvent)
_DECODER = speed_decoder()


def read_speed_events(folder: Path, cells: Collection[str]) -> list[SpeedEvent]:
    """What the run in ``folder`` says of speed and parity; a torn last line is left out.

    ``cells``: the ids of those that its manifest has.

    Raises:
        RecordError: the run is damaged, or its format is not known.
    """
    events = read_events(folder, _DECODER.decode, _DECODER.decode_lines, Ledger(cells))
    return cast(list[SpeedEvent], [event for event in events if isinstance(event, _KINDS)])
