"""The view model: what a reader sees, already formatted. Templates print it and compute nothing.

A ``Page`` is what is true of the whole report (verdicts, banners) and sections made of a few kinds
of block; HTML and Markdown each know every kind once. Text is plain text: a renderer escapes all
of it, whatever it came from.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from harness.report.figures import Chart

Tone = Literal["plain", "good", "bad", "doubt", "quiet", "differs"]
"""Tells a reader where to look; the words beside it say the same without colour."""


class Datum(msgspec.Struct, frozen=True):
    """One table cell."""

    text: str
    """Where it is an ``Amount`` (see ``formats``), tables sort by its number and CSV holds it."""
    tone: Tone = "plain"
    colour: int | None = None
    """Index of the framework whose colour marks it."""
    strong: bool = False
    variant: int = 0
    """Which contender of that framework: with ``colour``, a chart's ``Style``."""
    code: bool = False
    """Whether it is a command, to be copied as it stands."""


class Column(msgspec.Struct, frozen=True):
    """A column's head."""

    title: str
    number: bool = False
    """Whether it holds numbers, which are set flush right."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows under heads; every row is as long as the heads."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Datum, ...], ...]
    note: str = ""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A chart with what it shows in words."""

    kind: ClassVar[str] = "figure"
    name: str
    """File name without its ending; unique in the report."""
    caption: str
    chart: Chart


class Gallery(msgspec.Struct, frozen=True, kw_only=True):
    """Figures side by side where there is room."""

    kind: ClassVar[str] = "gallery"
    figures: tuple[Figure, ...]


class Paragraph(msgspec.Struct, frozen=True, kw_only=True):
    """Plain sentences."""

    kind: ClassVar[str] = "paragraph"
    text: str
    tone: Tone = "plain"


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """A list of sentences."""

    kind: ClassVar[str] = "items"
    items: tuple[str, ...]
    tone: Tone = "plain"


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a section: most often a group of contenders."""

    kind: ClassVar[str] = "heading"
    text: str


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """Text to be copied or read as it stands."""

    kind: ClassVar[str] = "code"
    text: str


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """Raw values to be kept as a file: a page holds it, a document does without."""

    kind: ClassVar[str] = "download"
    file: str
    """Name of the file."""
    text: str
    """What the link says."""
    csv: str


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """Blocks that are folded away until asked for."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: tuple[Table | Paragraph | Items | Code | Download, ...]


Block = Table | Figure | Gallery | Paragraph | Items | Heading | Code | Download | Details


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A heading that can be linked to, and what stands under it."""

    id: str
    title: str
    lead: str = ""
    """One or two sentences: how to read what follows."""
    blocks: tuple[Block, ...]


class Banner(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader must know before any number."""

    tone: Tone
    title: str
    text: str


class Badge(msgspec.Struct, frozen=True):
    """A word on the state of something: ``parity: proved``."""

    label: str
    text: str
    tone: Tone


class Player(msgspec.Struct, frozen=True, kw_only=True):
    """A contender that a reader may leave out of charts and tables."""

    colour: int
    """Index of its framework."""
    variant: int
    """With ``colour``, a chart's ``Style``."""
    framework: str
    """Title of the framework."""
    name: str
    """Its own name."""


class VerdictLine(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, ready to be printed by the report or by a terminal."""

    word: str
    tone: Tone
    sentence: str
    evidence: str
    """Interval, its level and n, and the noise floor beside them."""


class VerdictGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The verdicts of one group."""

    title: str
    order: str
    """Who is ranked, fastest first, or why nobody is."""
    notes: tuple[str, ...] = ()
    """Stand below the lines: how large the noise is, how accurate they got and when."""
    contenders: str
    """Each with version and mode, and on what they ran."""
    badges: tuple[Badge, ...]
    lines: tuple[VerdictLine, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    """Label and value: machine, date, blocks and the like."""
    banners: tuple[Banner, ...]
    verdicts: tuple[VerdictGroup, ...]
    sections: tuple[Section, ...]
    overview: Section | None = None
    """What stands before the verdicts: a table over all groups, where there are many."""
    players: tuple[Player, ...] = ()
    """Whoever is drawn or listed in the sections."""
    question: str = ""
    """What the report answers."""
    again: str = ""
    """The command that makes this page anew."""

    @property
    def shows_verdicts(self) -> bool:
        """Whether verdicts have a place: where there are none, an overview says all there is."""
        return bool(self.verdicts) or self.overview is None


def said_once(section: Section) -> Section:
    """``section`` without notes that an earlier table of it has already."""
    said: set[str] = set()
    blocks: list[Block] = []
    for block in section.blocks:
        if isinstance(block, Table):
            if block.note in said:
                block = msgspec.structs.replace(block, note="")
            said.add(block.note)
        blocks.append(block)
    return msgspec.structs.replace(section, blocks=tuple(blocks))


def facts_table(caption: str, facts: list[tuple[str, str]]) -> Table:
    """Labels and values, one a row."""
    return Table(
        caption=caption,
        columns=(Column("What"), Column("Value")),
        rows=tuple((Datum(label, "quiet"), Datum(value)) for label, value in facts),
    )
