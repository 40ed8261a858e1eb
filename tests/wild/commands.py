"""The command line in this process: hundreds of commands take a minute, not an hour."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness import cli

DOCUMENTED = {0, 1, 2, 3, 4, 130}
LONGEST_SECONDS = 120
MOST_LINES = 12
LONGEST_LINE = 3000


class Done(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


class Hung(BaseException):
    """Nothing below catches it."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """What takes longer is hung."""

    def stop(number: int, frame: object) -> None:
        raise Hung(f"no end within {seconds} s")

    usual = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, usual)


def levelfield(folder: Path, *arguments: str) -> Done:
    """What the command says and ends with, in ``folder``; what holds for every command, holds."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before, usual = Path.cwd(), sys.argv
    sys.argv = ["levelfield", *arguments]
    os.chdir(folder)
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            limited(LONGEST_SECONDS),
        ):
            code = cli.main()
    finally:
        os.chdir(before)
        sys.argv = usual
    said = [each.buffer.getvalue().decode("utf-8", "replace") for each in (out, err)]
    return held(Done(code, *said), arguments)


def held(done: Done, arguments: Sequence[str], *, chatty: bool = False) -> Done:
    """``done``, in which everything holds that holds for every end of every command.

    ``chatty``: it tells of its progress, so that an error is not all that it says.
    """
    shown = f"{arguments}: {done.code}\n{done.stderr[-3000:]}"
    assert done.code in DOCUMENTED, shown
    assert "Traceback" not in done.stdout + done.stderr, shown
    assert "mistake of levelfield's own" not in done.stderr, shown
    lines = done.stderr.splitlines()
    assert all(len(line) <= LONGEST_LINE for line in lines), shown
    if chatty:
        assert sum(line.startswith("levelfield: ") for line in lines) <= 1, shown
    else:
        assert len(lines) <= MOST_LINES, shown
    return done
