"""Whether the workers of a block fit into memory together."""

from __future__ import annotations

from collections.abc import Sequence

_MIB = 2**20


def memory_shortfall(needs_mib: Sequence[int], available_bytes: int) -> str | None:
    """Why workers that need ``needs_mib`` at once don't fit, in one line; nothing if they do.

    All contenders of a block are alive together, so their peaks add up. A machine that swaps
    measures its disk.
    """
    need_bytes = sum(needs_mib) * _MIB
    if need_bytes <= available_bytes:
        return None
    count = len(needs_mib)
    workers = "1 worker needs" if count == 1 else f"{count} workers, alive together, need"
    return (
        f"Not enough memory: {workers} {_gib(need_bytes)}, {_gib(available_bytes)} is free: "
        "close other programs, or compare fewer at once with -f, --mode or --no-aa"
    )


def _gib(count_bytes: int) -> str:
    return f"{count_bytes / 2**30:.1f} GiB"
