"""Runs read for their speed alone: a thousand of them in seconds, one at a time in memory."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import cast, get_args

import msgspec

from harness.errors import RecordError
from harness.spec.events import Header
from harness.spec.speed_events import SpeedEvent, speed_decoder
from harness.store.runs import EVENTS, check_version

_KINDS = get_args(SpeedEvent)
_DECODER = speed_decoder()


def read_speed_events(folder: Path) -> list[SpeedEvent]:
    """What the run in ``folder`` says of speed and parity; a torn last line is left out.

    Raises:
        RecordError: the run is damaged, or its format is not known.
    """
    path = folder / EVENTS
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = content.rfind(b"\n") + 1
    try:
        events = _DECODER.decode_lines(content[:whole])
    except msgspec.DecodeError as error:
        raise RecordError(
            f"{path} holds a line that is not an event ({error}): is it damaged?"
        ) from None
    with contextlib.suppress(msgspec.DecodeError):  # torn by a kill
        events += _DECODER.decode_lines(content[whole:])
    kept = []
    for event in events:
        if isinstance(event, _KINDS):
            kept.append(event)
        elif isinstance(event, Header):
            check_version(event.format_version, path)
    return cast(list[SpeedEvent], kept)
