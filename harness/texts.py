"""What others wrote, made harmless: one function for each format that leaves this process.

Error texts, titles, names, paths and revisions come from files, workers and repositories that
nobody here vouches for. Whatever is printed or written goes through the function of its format:
there it is shown as it is, and does nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

LONGEST = 1_000
"""Letters of one text in a document or a table: the whole of it is in the run's own records."""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
"""All but line feed and tab; those that turn a line around; and what XML does not have."""
GAP = "\u200b"
"""A space without width: what it parts is read as before, and is no address or name any more."""
FORMULAS = ("=", "+", "-", "@")
"""What makes a spreadsheet compute a cell instead of showing it."""


def printable(text: str) -> str:
    """``text`` with what no document may hold (control characters, lone surrogates) replaced.

    For whole documents: HTML, SVG, Markdown, XML.
    """
    cleaned = CONTROLS.sub("\ufffd", text)
    return cleaned.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str) -> str:
    """``text`` on one line, at most ``LONGEST`` letters and how many there were."""
    line = " ".join(printable(text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}… ({len(line):,} letters)"


def terminal_text(text: str) -> str:
    """``text`` for a terminal or a job's log: it moves no cursor and commands no runner.

    GitHub's runner obeys lines that begin with ``::name::``, and ``##[name]`` wherever it stands:
    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    text = re.sub(r"^(\s*:)(?=:.*::)", r"\1 ", printable(text), flags=re.MULTILINE)
    return text.replace("##[", "## [")


def annotation(level: str, title: str, text: str) -> str:
    """A workflow command for GitHub that shows ``text``, on a line of its own."""
    data, name = (one_line(each).replace("##[", "## [") for each in (text, title))
    data, name = data.replace("%", "%25"), name.replace("%", "%25")
    return f"::{level} title={name.replace(':', '%3A').replace(',', '%2C')}::{data}"


def markdown_text(text: str) -> str:
    """``text`` on one line, shown by a Markdown reader as it is, whatever it holds.

    No HTML, no image, no link, no heading; addresses, ``@names`` and ``#numbers``, which GitHub
    makes links of and tells people about, are parted by a space without width.
    """
    line = one_line(text).replace("\\", "\\\\")
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([`*|~$])", r"\\\1", line)
    line = re.sub(r"\](?=[(\[:])", r"\\]", line)
    line = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)  # within a word it does nothing
    line = re.sub(r"^([-+#=])(?=[-+#=]*(?:\s|$))", r"\\\1", line)
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    line = re.sub(r"(?<=\s)(?=#+$)", r"\\", line)  # else they end a heading
    return _parted(line)


def _parted(line: str) -> str:
    line = re.sub(r":(?=//)", f":{GAP}", line)
    line = re.sub(r"(www)(?=\.)", rf"\1{GAP}", line, flags=re.IGNORECASE)
    # The version in NAME@1.2.3 is neither a person nor the end of an address.
    line = re.sub(r"(?<![a-zA-Z0-9])@(?=\w)|@(?=[\w.-]*[^\W\d])", f"@{GAP}", line)
    return re.sub(r"(#|(?<![a-z0-9])GH-)(?=\d)", rf"\1{GAP}", line, flags=re.IGNORECASE)


def markdown_code(text: str) -> str:
    """``text`` on one line as code, for instance a command: a reader copies it as it is."""
    line = one_line(text) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    edge = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def markdown_lines(lines: Sequence[str], longest: int) -> list[str]:
    """The first of ``lines`` that are at most ``longest`` letters together, and how many more."""
    kept, left = [], longest
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    more = len(lines) - len(kept)
    return [*kept, *([f"… and {more:,} more: the report has them."] if more else [])]


def xml_text(text: str) -> str:
    """``text`` on one line, of characters that XML has; what writes XML escapes the others."""
    return one_line(text)


def csv_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A header and a line a row (RFC 4180, lines end with a line feed).

    ``true`` and ``false`` are words, what is missing is empty, and numbers have all their digits. A
    text that a spreadsheet would compute begins with an apostrophe.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(map(_csv_cell, row) for row in rows)
    return table.getvalue()


def _csv_cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(FORMULAS) else text


def json_text(encoded: bytes) -> bytes:
    """``encoded``, which is JSON, with the same values and nothing that a terminal obeys."""
    text = re.sub(CONTROLS, _json_escape, encoded.decode("utf-8"))
    return text.encode("utf-8")


def _json_escape(found: re.Match[str]) -> str:
    # Outside strings JSON has no such character, and in them it may be written so.
    return f"\\u{ord(found[0]):04x}"
