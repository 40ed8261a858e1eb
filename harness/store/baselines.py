"""Baselines on disk: small files that are kept with the code."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from harness.errors import RecordError, UsageError
from harness.files import UnreadableFile, clause, content_of, decoded, write_whole
from harness.spec.baselines import BASELINE_FORMAT_VERSION, Baseline


class _Version(msgspec.Struct):
    format_version: int


def read_baseline(path: Path) -> Baseline:
    """The baseline in the file ``path``.

    Raises:
        UsageError: there is none.
        RecordError: it is damaged, or its format is not known.
    """
    try:
        content = content_of(path)
        version = decoded(content, _Version).format_version
        if version != BASELINE_FORMAT_VERSION:
            raise RecordError(
                f"{path} has format version {version}, expected {BASELINE_FORMAT_VERSION}: "
                "read it with the levelfield that wrote it"
            )
        baseline = decoded(content, Baseline)
    except FileNotFoundError:
        raise UsageError(
            f"No baseline {path}, expected a file that 'levelfield baseline save RUN' has written: "
            "save runs first, or name another one with --baseline"
        ) from None
    except UnreadableFile as error:
        raise RecordError(
            f"{path} is not a baseline ({error}): bring it back from a copy, or name another one "
            "with --baseline"
        ) from None
    series = Counter(cell.series for cell in baseline.cells)
    for name, count in series.items():
        if count > 1:
            raise RecordError(
                f"{path} is not a baseline ({clause(name)} is there twice): bring it back from a "
                "copy, or name another one with --baseline"
            )
    return baseline


def write_baseline(path: Path, baseline: Baseline) -> None:
    """The file ``path`` holds ``baseline``; at no time does it hold half of one.

    Raises:
        UsageError: it can't be written there.
    """
    text = msgspec.json.format(msgspec.json.encode(baseline), indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text + b"\n")
    except OSError as error:
        raise UsageError(
            f"{path} can't be written ({error.strerror}): name another file with --baseline"
        ) from None
