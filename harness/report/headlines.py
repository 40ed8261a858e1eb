"""What a list of reports says of each: stored beside the report, read when the list is made."""

from __future__ import annotations

import msgspec

from harness.files import UnreadableFile, decoded
from harness.report.page import Page, Tone

FORMAT = 1
"""Readers pass over other numbers; a change that they could not read raises it."""


class HeadlineVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison."""

    word: str
    tone: Tone
    sentence: str


class HeadlineGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One group of contenders."""

    title: str
    order: str
    """Who is ranked, fastest first, or why nobody is."""
    verdicts: tuple[HeadlineVerdict, ...]


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """One report in short."""

    format: int
    title: str
    run: str
    measured: str
    machine: str
    finished: str = ""
    """How much was measured."""
    warnings: tuple[str, ...]
    """Titles of the banners."""
    groups: tuple[HeadlineGroup, ...]
    folder: str = ""
    """Where the report was found, from the list on: ``example``, ``example/reproduction``."""

    @property
    def orders(self) -> dict[str, list[str]]:
        """What is said of several groups, each with their titles."""
        titles: dict[str, list[str]] = {}
        for group in self.groups:
            titles.setdefault(group.order, []).append(group.title)
        return titles


def headline(page: Page) -> Headline:
    """``page`` in short."""
    facts = dict(page.facts)
    return Headline(
        format=FORMAT,
        title=page.title,
        run=page.subtitle,
        measured=facts.get("Measured", ""),
        machine=facts.get("Machine") or facts.get("Machines", ""),
        finished=facts.get("Finished", ""),
        warnings=tuple(dict.fromkeys(banner.title for banner in page.banners)),
        groups=tuple(
            HeadlineGroup(
                title=group.title,
                order=group.order,
                verdicts=tuple(
                    HeadlineVerdict(word=line.word, tone=line.tone, sentence=line.sentence)
                    for line in group.lines
                ),
            )
            for group in page.verdicts
        ),
    )


def read_headline(source: bytes, folder: str) -> Headline | None:
    """What ``source`` says of the report in ``folder``; nothing if it is none of ours."""
    try:
        found = decoded(source, Headline)
    except UnreadableFile:
        return None
    return msgspec.structs.replace(found, folder=folder) if found.format == FORMAT else None
