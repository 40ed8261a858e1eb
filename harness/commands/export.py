"""``levelfield export``: a stored run in formats that other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.analysis.exports import bencher_metrics, github_benchmarks, results
from harness.analysis.judgement import REASONS, LeftOut
from harness.analysis.observations import Observations
from harness.console import Console
from harness.errors import UsageError
from harness.files import write_whole
from harness.spec.exports import Format, WindowRow
from harness.store.exports import csv_text, parquet_bytes
from harness.store.runs import read_run
from harness.texts import json_text


class ExportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``export --json`` says."""

    run: str
    format: Format
    output: str
    """Path of the file."""
    entries: int
    """Windows of a table, results of the other formats."""


class _Content(NamedTuple):
    body: bytes
    entries: int
    left_out: tuple[str, ...] = ()
    """Cells that are in the run and not in the body, each with the reason."""


def export_run(console: Console, folder: Path, format_: Format, output: Path | None) -> None:
    """The run in ``folder`` is in ``output``, or, being text, on standard output.

    Raises:
        UsageError: the run has nothing to export, or there is no place for what it has.
        RecordError: the run can't be read.
    """
    if output is None and (format_ == "parquet" or console.json):
        got = "--format parquet writes bytes" if format_ == "parquet" else "--json is an answer"
        raise UsageError(f"{got}, expected --output with it: name a file")
    run = Observations(read_run(folder))
    content = _content(run, format_)
    if not content.entries:
        raise UsageError(
            f"{run.manifest.run} holds no finished block to export, expected at least one: "
            "'levelfield list runs' shows how many each run has"
        )
    for line in content.left_out:
        console.warn(f"Left out: {line}")
    if output is None:
        console.write(content.body)
        return
    try:
        write_whole(output, content.body)
    except OSError as error:
        raise UsageError(
            f"{output} can't be written ({error.strerror}): name another file by --output"
        ) from None
    noun = "windows" if format_ in ("csv", "parquet") else "cells"
    console.result(f"{output} holds {content.entries} {noun} of {run.manifest.run}")
    console.answer(
        ExportAnswer(
            run=run.manifest.run, format=format_, output=str(output), entries=content.entries
        )
    )


def _content(run: Observations, format_: Format) -> _Content:
    if format_ in ("csv", "parquet"):
        # It takes longer to load than the other formats take to be written.
        from harness.analysis.frames import plain_columns, windows_frame

        windows = windows_frame(run)
        values = plain_columns(WindowRow, windows)
        body = csv_text(values).encode() if format_ == "csv" else parquet_bytes(values)
        return _Content(body, len(windows))
    found = results(run)
    value: object = bencher_metrics(found)
    if format_ == "github":
        value = github_benchmarks(run.manifest, found)
    body = json_text(msgspec.json.format(msgspec.json.encode(value), indent=2)) + b"\n"
    left_out = tuple(_why(each) for each in found.left_out)
    return _Content(body, len(found.of_cells), left_out)


def _why(of: LeftOut) -> str:
    reason = "nothing of it was measured" if of.reason == "not_measured" else REASONS[of.reason]
    # Some details begin with the cell that they are of.
    detail = of.detail.removeprefix(of.cell).removeprefix(": ")
    return f"{of.cell}: {reason}" + (f" ({detail})" if detail else "")
