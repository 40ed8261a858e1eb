"""What workers print: kept in a file each, bounded in bytes on disk, in memory and in what is told.

A worker writes straight into its file, so that nothing has to be awake to read it while others are
timed. The harness looks at the file while it waits for answers anyway, and cuts out its middle
where it has grown beyond all use.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

MOST_BYTES = 2**24
"""Of a log file; between two looks it can be larger by what is printed meanwhile."""
KEPT_BYTES = 2**16
"""Of the beginning, and of the end, of one that was larger."""
TAIL_LINES = 20
TAIL_BYTES = 2**13
"""Of the end that a failure tells, whatever a line is."""
DETAIL_BYTES = 2**15
REASON_LETTERS = 1000
LEFT_OUT = "[… {count} bytes left out …]"


def opened_log(path: Path) -> IO[bytes]:
    """An empty file at ``path`` whose writers always write to its end, wherever that is moved."""
    path.write_bytes(b"")
    return path.open("ab", buffering=0)


def keep_small(path: Path) -> None:
    """The file is no larger than ``MOST_BYTES``; what is cut out is said in it."""
    with contextlib.suppress(OSError):
        if path.stat().st_size <= MOST_BYTES:
            return
        with path.open("r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(size - KEPT_BYTES)
            end = file.read(KEPT_BYTES)
            file.truncate(KEPT_BYTES)
            # To the end, as the worker does: what it prints just now is not written over.
            with path.open("ab", buffering=0) as appended:
                said = LEFT_OUT.format(count=size - 2 * KEPT_BYTES)
                appended.write(f"\n{said}\n".encode() + end)


def tail_of(path: Path) -> str:
    """The last lines of what was printed, ``TAIL_BYTES`` or less of them."""
    return "\n".join(last_lines(path, TAIL_BYTES)[-TAIL_LINES:])


def last_lines(path: Path, most_bytes: int = KEPT_BYTES) -> list[str]:
    """The lines in the last ``most_bytes`` of what was printed; none where that is gone."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most_bytes))
            end = file.read(most_bytes)
    except OSError:
        return []
    lines = end.decode("utf-8", "replace").splitlines()
    return lines[1:] if size > most_bytes and len(lines) > 1 else lines  # begins in the middle


def bounded_reason(text: str) -> str:
    """``text`` in one line of ``REASON_LETTERS`` or fewer."""
    line = " ".join(text.split())
    return line if len(line) <= REASON_LETTERS else f"{line[: REASON_LETTERS - 1]}…"


def bounded_detail(text: str) -> str:
    """``text``, of which what stands last says most: its end, if all of it is too much."""
    content = text.encode("utf-8", "replace")
    if len(content) <= DETAIL_BYTES:
        return content.decode()
    said = LEFT_OUT.format(count=len(content) - DETAIL_BYTES)
    return f"{said}\n{content[-DETAIL_BYTES:].decode('utf-8', 'ignore')}"
