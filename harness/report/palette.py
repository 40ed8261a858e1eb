"""Colours and line styles: the one place that knows how a contender or a phase looks.

Charts are drawn in the light colours below. Each is used for one thing only, so that ``html`` can
put a CSS variable in its place and the reader's own preference for light or dark decides.
"""

from __future__ import annotations

from typing import NamedTuple


class Tint(NamedTuple):
    """One colour, on a light and on a dark page."""

    variable: str
    """Name of the CSS variable."""
    light: str
    dark: str


SURFACE = Tint("surface", "#ffffff", "#171b22")
INK = Tint("ink", "#1c2430", "#e6eaf0")
MUTED = Tint("muted", "#5b6675", "#9aa6b6")
RULE = Tint("rule", "#d9dee6", "#333c4a")
BAND = Tint("band", "#e4ecf5", "#26344a")
FLAG = Tint("flag", "#b3261e", "#ff8a80")

SERIES = (
    Tint("series-1", "#00508f", "#4697dd"),
    Tint("series-2", "#e56a00", "#ffb479"),
    Tint("series-3", "#00806a", "#38c89b"),
    Tint("series-4", "#aa4499", "#e08bd0"),
    Tint("series-5", "#8a6d00", "#e0c04a"),
    Tint("series-6", "#525f7a", "#a9b6d3"),
)
"""After Okabe and Ito (2008), with more contrast; they differ in lightness as well as in hue."""

PARTS = (
    Tint("part-1", "#c3cad5", "#3f4857"),
    Tint("part-2", "#8f9bb0", "#5f6c82"),
    Tint("part-3", "#b9a7d6", "#6d5a94"),
    Tint("part-4", "#8468b5", "#9c85c9"),
    Tint("part-5", "#f0b429", "#d99a10"),
    Tint("part-6", "#f7d58a", "#8f7434"),
    Tint("part-7", "#1f7a8c", "#4fb3c5"),
    Tint("part-8", "#9fd3dc", "#2c5b66"),
)
"""Parts of a whole, in pairs of one hue; neighbours differ in lightness."""

MARKERS = ("o", "s", "D", "^", "v", "P")
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)))
HATCHES = ("", "////", "....", "xxxx")

ALL = (SURFACE, INK, MUTED, RULE, BAND, FLAG, *SERIES, *PARTS)


def series(index: int) -> str:
    """The light colour of the framework that appears as number ``index``."""
    return SERIES[index % len(SERIES)].light


def part(index: int) -> str:
    """The light colour of a stack's part number ``index``."""
    return PARTS[index % len(PARTS)].light
