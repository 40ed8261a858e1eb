"""What users see while they wait, and at the end: the only place, with ``cli``, that prints."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from rich.console import Console as RichConsole
from rich.console import Group
from rich.control import Control
from rich.live import Live
from rich.markup import escape
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

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
        self._err.print(escape(text))

    def warn(self, text: str) -> None:
        """``text`` is on standard error, so that it can't be missed."""
        self._clear()
        self._err.print(f"[bold yellow]Warning:[/] {escape(text)}")

    def fail(self, text: str) -> None:
        """``text`` is on standard error: the one line that says why the command ends."""
        self._close()
        self._clear()
        self._err.print(f"[bold red]levelfield:[/] {escape(text)}")

    def show(self, board: Board | None) -> None:
        """A terminal shows ``board`` below the lines, in place of the one before; or none.

        Nothing draws it in between: whoever calls decides when the machine has time for that.
        """
        if not self._err.is_terminal or (board is None and self._live is None):
            return
        if board is None:
            self._close()
            return
        table = _table(board.header, board.rows)
        picture = Group(Text(board.title, "bold"), table, Text(board.note, "dim"))
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
            self._err.print(
                f"[dim]{escape(text)} …[/]", end="\r", overflow="ellipsis", no_wrap=True
            )

    def transferred(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        """A terminal shows how far ``what`` has come; elsewhere each further quarter is a line."""
        total = total_bytes or 0
        if self._err.is_terminal:
            shown = (
                f"{done_bytes / 1e6:.1f} of {total / 1e6:.1f} MB"
                if total
                else (f"{done_bytes / 1e6:.1f} MB")
            )
            self._err.print(f"  {escape(what)}: {shown}", end="\r" if done_bytes != total else "\n")
            return
        quarter = 4 * done_bytes // total if total else 0
        if quarter > self._quarters.get(what, 0):
            self._quarters[what] = quarter
            self.say(f"  {what}: {25 * quarter} % of {total / 1e6:.1f} MB")

    def result(self, text: str) -> None:
        """``text`` is on standard output, unless results go there as JSON."""
        if not self.json:
            self._close()
            self._out.print(escape(text), soft_wrap=True)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table is on standard output, unless results go there as JSON."""
        if self.json:
            return
        self._close()
        self._out.print(_table(header, rows, title))

    def answer(self, value: Any) -> None:
        """``value`` is on standard output as JSON, if that was asked for."""
        if self.json:
            text = msgspec.json.format(msgspec.json.encode(value), indent=2)
            sys.stdout.write(text.decode() + "\n")

    def write(self, content: bytes) -> None:
        """``content`` is on standard output as it is, for another program to read."""
        self._close()
        try:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # The reader has seen enough, as ``head`` has; what is left goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _clear(self) -> None:
        """A status that was shown does not shine through the line that follows it."""
        if self._err.is_terminal and self._live is None:
            self._err.control(Control((ControlType.ERASE_IN_LINE, 2)))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    table = Table(title=escape(title) or None, title_justify="left", box=None, pad_edge=False)
    for name in header:
        table.add_column(escape(name), overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table
