"""Marks on drawn things, so that a page can tell what each is: whose, and what it says.

A drawing carries them as ids (matplotlib's ``gid``); ``attributes`` turns such an id into what a
script in the page reads. A drawing by itself looks the same with them or without.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

from markupsafe import escape
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from harness.report.figures import Style

PREFIX = "mark:"


def mark(
    artists: Artist | Iterable[Artist],
    style: Style | None,
    *,
    label: str = "",
    text: str = "",
    legend: bool = False,
) -> None:
    """The ``artists`` are known as the contender's that looks like ``style``.

    With a ``label``, each point of the line is one that a reader may ask for its values; with a
    ``text``, the whole says just that. ``legend``: a click there hides the contender.
    """
    facts = {
        "who": f"{style.colour}-{style.variant}" if style else "",
        "label": label,
        "text": text,
        "legend": "1" if legend else "",
    }
    for artist in [artists] if isinstance(artists, Artist) else artists:
        artist.set_gid(_id({key: value for key, value in facts.items() if value}))


def mark_panel(axes: Axes, *, x: str = "", y: str = "") -> None:
    """Within ``axes`` any place can be read as values, of quantities named ``x`` and ``y``.

    To be called when everything is drawn: the limits do not change any more.
    """
    limits = [f"{limit!r}" for limit in map(float, (*axes.get_xlim(), *axes.get_ylim()))]
    facts = {
        "panel": " ".join(limits),
        "scales": f"{axes.get_xscale()} {axes.get_yscale()}",
        "x": x,
        "y": y,
    }
    axes.patch.set_gid(_id(facts))


def attributes(identifier: str) -> str:
    """The HTML attributes, escaped, that the id of a mark stands for."""
    facts = json.loads(unquote(identifier.removeprefix(PREFIX)))
    return "".join(f' data-{key}="{escape(value)}"' for key, value in facts.items())


def whose(artist: Artist) -> Style | None:
    """The style that ``artist`` was marked with."""
    identifier = artist.get_gid() or ""
    facts: dict[str, Any] = (
        json.loads(unquote(identifier.removeprefix(PREFIX)))
        if identifier.startswith(PREFIX)
        else {}
    )
    if not facts.get("who"):
        return None
    colour, variant = facts["who"].split("-")
    return Style(int(colour), int(variant))


def _id(facts: dict[str, str]) -> str:
    return PREFIX + quote(json.dumps(facts), safe="")
