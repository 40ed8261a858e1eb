"""How long blocks of a kind took on a machine."""

from __future__ import annotations

import msgspec

from harness.spec.bounds import Seconds


class GroupDurations(msgspec.Struct, frozen=True, kw_only=True):
    """Of a group's blocks, from the first start of a worker to the end of the block."""

    short_seconds: Seconds | None = None
    """Median of the short blocks; nothing where none was measured."""
    epoch_seconds: Seconds | None = None
    """Of an epoch of a long block, in which contenders train side by side; likewise."""
