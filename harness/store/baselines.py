"""Baselines on disk: small files that are kept with the code."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.errors import RecordError, UsageError
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
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"No baseline {path}, expected a file that 'levelfield baseline save RUN' has written: "
            "save runs first, or name another one with --baseline"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}): name another file") from None
    try:
        version = msgspec.json.decode(content, type=_Version).format_version
        if version != BASELINE_FORMAT_VERSION:
            raise RecordError(
                f"{path} has format version {version}, expected {BASELINE_FORMAT_VERSION}: "
                "read it with the levelfield that wrote it"
            )
        return msgspec.json.decode(content, type=Baseline)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is not a baseline ({error}): is it damaged?") from None


def write_baseline(path: Path, baseline: Baseline) -> None:
    """The file ``path`` holds ``baseline``; at no time does it hold half of one.

    Raises:
        UsageError: it can't be written there.
    """
    text = msgspec.json.format(msgspec.json.encode(baseline), indent=1)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(text + b"\n")
        part.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} can't be written ({error.strerror}): name another file with --baseline"
        ) from None
