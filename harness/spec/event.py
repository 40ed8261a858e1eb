"""What all events have in common."""

from __future__ import annotations

import msgspec

from harness.spec.bounds import Moment


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Something that happened, and when."""

    at: Moment
    """Seconds since 1970, by the harness's clock."""
