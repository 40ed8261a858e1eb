"""A page as Markdown (GitHub's), with its figures as files beside it."""

from __future__ import annotations

import re

from harness.report.page import (
    Block,
    Code,
    Details,
    Download,
    Figure,
    Gallery,
    Heading,
    Items,
    Page,
    Paragraph,
    Section,
    Table,
    VerdictGroup,
)
from harness.texts import markdown_lines, printable
from harness.texts import markdown_text as escaped

FIGURES = "figures"
"""Name of the folder beside the document that holds its figures."""
LONGEST_COMMENT = 60_000
"""Letters: GitHub takes 65,536 in a comment."""


def markdown(page: Page) -> str:
    """The whole document."""
    parts = [
        f"# {escaped(page.title)}",
        escaped(page.subtitle),
        escaped(page.question),
        "\n".join(f"- {escaped(label)}: {escaped(value)}" for label, value in page.facts),
        *(f"> **{escaped(each.title)}.** {escaped(each.text)}" for each in page.banners),
        *([_section(page.overview)] if page.overview else []),
        *(["## Verdicts"] if page.shows_verdicts else []),
        *(_verdicts(group) for group in page.verdicts),
        *(_section(section) for section in page.sections),
    ]
    return printable("\n\n".join(part for part in parts if part) + "\n")


def comment(page: Page) -> str:
    """The short form, for a comment on a pull request: verdicts, and what limits them."""
    parts = [
        f"### {escaped(page.title)}",
        *(f"> **{escaped(each.title)}.** {escaped(each.text)}" for each in page.banners),
        *(_short_verdicts(group, many=len(page.verdicts) > 1) for group in page.verdicts),
        " · ".join(f"{escaped(label)}: {escaped(value)}" for label, value in page.facts),
        f"Run {escaped(page.subtitle)}."
        + (f" Whole report: {escaped(page.again)}" if page.again else ""),
    ]
    kept = markdown_lines([part for part in parts if part], LONGEST_COMMENT)
    return printable("\n\n".join(kept) + "\n")


def fenced(text: str) -> str:
    """``text`` as a code block, whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _verdicts(group: VerdictGroup) -> str:
    badges = " · ".join(f"{escaped(each.label)}: {escaped(each.text)}" for each in group.badges)
    lines = [
        f"- **{escaped(line.word)}**: {escaped(line.sentence)}"
        + (f"<br>{escaped(line.evidence)}" if line.evidence else "")
        for line in group.lines
    ]
    head = [f"### {escaped(group.title)}", escaped(group.order), escaped(group.contenders), badges]
    parts = [*head, "\n".join(lines), *map(escaped, group.notes)]
    return "\n\n".join(part for part in parts if part)


def _short_verdicts(group: VerdictGroup, *, many: bool) -> str:
    badges = " · ".join(f"{escaped(each.label)}: {escaped(each.text)}" for each in group.badges)
    lines = [f"- **{escaped(line.word)}**: {escaped(line.sentence)}" for line in group.lines]
    head = [f"**{escaped(group.title)}**"] if many else []
    return "\n\n".join([*head, "\n".join(lines) or escaped(group.order), f"<sub>{badges}</sub>"])


def _section(section: Section) -> str:
    parts = [f"## {escaped(section.title)}", escaped(section.lead), *map(_block, section.blocks)]
    return "\n\n".join(part for part in parts if part)


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figure):
        return _figure(block)
    if isinstance(block, Gallery):
        return "\n\n".join(map(_figure, block.figures))
    if isinstance(block, Paragraph):
        return escaped(block.text)
    if isinstance(block, Items):
        return "\n".join(f"- {escaped(item)}" for item in block.items)
    if isinstance(block, Heading):
        return f"### {escaped(block.text)}"
    if isinstance(block, Code):
        return fenced(block.text)
    if isinstance(block, Download):
        return ""  # the page has it
    return _details(block)


def _details(block: Details) -> str:
    inner = "\n\n".join(map(_block, block.blocks))
    return f"<details><summary>{escaped(block.summary)}</summary>\n\n{inner}\n\n</details>"


def _figure(figure: Figure) -> str:
    alternative = re.sub(r"([\[\]])", r"\\\1", escaped(figure.caption))
    return f"![{alternative}]({FIGURES}/{figure.name}.svg)\n\n*{escaped(figure.caption)}*"


def _table(table: Table) -> str:
    rows = [
        "| " + " | ".join(escaped(column.title) for column in table.columns) + " |",
        "| " + " | ".join("--:" if each.number else "---" for each in table.columns) + " |",
        *("| " + " | ".join(escaped(datum.text) for datum in row) + " |" for row in table.rows),
    ]
    parts = [f"**{escaped(table.caption)}**", "\n".join(rows), escaped(table.note)]
    return "\n\n".join(part for part in parts if part)
