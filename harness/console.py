"""What users see while they wait, and at the end: the only place, with ``cli``, that prints.

Writing to a standard stream never fails: ``levelfield`` (see there) has seen to it. All text goes
through ``terminal_text``.
"""

from __future__ import annotations

import atexit
import json as standard_json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
from rich.console import Console as RichConsole
from rich.console import Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from harness.errors import LevelfieldError
from harness.texts import json_text, terminal_text

PLAIN_WIDTH = 160


class Board(Protocol):
    """A table that is drawn over and over: a title, a header, rows, and a note."""

    @property
    def title(self) -> str:
        """Stands above the table."""

    @property
    def header(self) -> Sequence[str]:
        """One name a column."""

    @property
    def rows(self) -> Sequence[Sequence[str]]:
        """Each as long as the header."""

    @property
    def note(self) -> str:
        """Stands below the table."""


class Console:
    """Progress on standard error, results on standard output; with ``json``, results as JSON.

    Without a terminal progress is plain lines, one for each thing that happens.
    """

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self._quarters: dict[str, int] = {}
        self._live: Live | None = None
        # Where no terminal says how wide it is, tables may be; lines are never broken.
        wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
        self._out = RichConsole(highlight=False, width=wide)
        self._err = RichConsole(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

    @property
    def terminal(self) -> bool:
        """Whether somebody reads standard output as it comes."""
        return self._out.is_terminal

    def say(self, text: str) -> None:
        """``text`` is on standard error: something that has happened."""
        self._clear()
        self._err.print(_line(text))

    def warn(self, text: str) -> None:
        """``text`` is on standard error, so that it can't be missed."""
        self._clear()
        self._err.print(Text.assemble(("Warning:", "bold yellow"), " ", _line(text)))

    def fail(self, text: str) -> None:
        """``text`` is on standard error: the one line that says why the command ends."""
        self._close()
        self._clear()
        self._err.print(Text.assemble(("levelfield:", "bold red"), " ", _line(text)))

    def show(self, board: Board | None) -> None:
        """A terminal shows ``board`` below the lines, in place of the one before; or none.

        Nothing draws it in between: whoever calls decides when the machine has time for that.
        """
        if not self._err.is_terminal or (board is None and self._live is None):
            return
        if board is None:
            self._close()
            return
        title, note = _line(board.title), _line(board.note)
        title.stylize("bold")
        note.stylize("dim")
        picture = Group(title, _table(board.header, board.rows), note)
        if self._live is None:
            self._clear()
            self._live = Live(console=self._err, auto_refresh=False, transient=True)
            self._live.start()
            atexit.register(self._close)
        self._live.update(picture, refresh=True)

    def _close(self) -> None:
        """The board is gone, and the cursor is back."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            atexit.unregister(self._close)

    def status(self, text: str) -> None:
        """``text`` is what goes on now: on a terminal, until the next line takes its place."""
        if self._err.is_terminal and self._live is None:
            line = Text.assemble(_line(text), " …", style="dim")
            self._err.print(line, end="\r", overflow="ellipsis", no_wrap=True)

    def transferred(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        """A terminal shows how far ``what`` has come; elsewhere each further quarter is a line."""
        total = total_bytes or 0
        if self._err.is_terminal:
            shown = (
                f"{done_bytes / 1e6:.1f} of {total / 1e6:.1f} MB"
                if total
                else (f"{done_bytes / 1e6:.1f} MB")
            )
            line = Text.assemble("  ", _line(what), f": {shown}")
            self._err.print(line, end="\r" if done_bytes != total else "\n")
            return
        quarter = 4 * done_bytes // total if total else 0
        if quarter > self._quarters.get(what, 0):
            self._quarters[what] = quarter
            self.say(f"  {what}: {25 * quarter} % of {total / 1e6:.1f} MB")

    def result(self, text: str) -> None:
        """``text`` is on standard output, unless results go there as JSON."""
        if not self.json:
            self._close()
            self._out.print(Text(terminal_text(text)), soft_wrap=True)

    def command(self, line: str) -> None:
        """``line`` is on standard output for a job's runner to obey, unless JSON goes there."""
        if not self.json:
            self.write(f"{line}\n".encode())

    @contextmanager
    def extra(self, what: str) -> Iterator[None]:
        """What is done here comes on top of an answer: where it fails, there is a warning.

        Of any kind: the answer stands, with its exit code, whatever a picture or a file does.
        """
        try:
            yield
        except OSError as error:
            self.warn(f"{what} can't be written: {_reason(error)}")
        except LevelfieldError as error:
            self.warn(f"{what} can't be written: {error}")
        except Exception as error:
            self.warn(f"{what} can't be made, a mistake of levelfield's own: {error!r}")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table is on standard output, unless results go there as JSON."""
        if self.json:
            return
        self._close()
        self._out.print(_table(header, rows, title))

    def answer(self, value: Any) -> None:
        """``value`` is on standard output as JSON, if that was asked for."""
        if self.json:
            self.write(json_text(msgspec.json.format(_encoded(value), indent=2)) + b"\n")

    def write(self, content: bytes) -> None:
        """``content`` is on standard output as it is, for another program to read."""
        self._close()
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    def _clear(self) -> None:
        """A status that was shown does not shine through the line that follows it."""
        if self._err.is_terminal and self._live is None:
            self._err.control(Control((ControlType.ERASE_IN_LINE, 2)))


def _line(text: str) -> Text:
    """``text`` on one line: something that happened, or why the command ends."""
    return Text(terminal_text(" ".join(text.splitlines())))


def _reason(error: OSError) -> str:
    """Where, and what the system says."""
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or type(error).__name__}"


def _encoded(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # The name of a file, say, whose bytes are no UTF-8.
        plain = standard_json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
        return plain.encode("utf-8", "replace")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    heading = Text(terminal_text(title), "table.title") if title else None
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False)
    for name in header:
        table.add_column(_line(name), overflow="fold")
    for row in rows:
        table.add_row(*map(_line, row))
    return table
