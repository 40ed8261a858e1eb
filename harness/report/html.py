"""A page as one HTML file that loads nothing: style and figures stand in it, scripts do not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report.page import Page
from harness.report.palette import ALL, SERIES

ALLOWED_CONTROLS = "\n\t"


def html(page: Page, drawings: Mapping[str, str]) -> str:
    """The whole document; ``drawings`` holds the SVG of each figure by its name."""
    environment = Environment(
        loader=PackageLoader("harness.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html").render(
        page=page,
        style=Markup(environment.get_template("style.css").render(tints=ALL)),
        drawings={name: Markup(inline_svg(svg, name)) for name, svg in drawings.items()},
        colours=len(SERIES),
    )
    return printable(text)


def inline_svg(svg: str, name: str) -> str:
    """``svg`` fit to stand in a page beside others: own ids, the page's colours, no fixed size."""
    body = svg[svg.index("<svg") :].strip()
    used = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', body))
    body = re.sub(r' id="([\w-]+)"', lambda m: m[0] if m[1] in used else "", body)
    body = re.sub(r'( id="|href="#|url\(#)([\w-]+)', rf"\g<1>{name}-\g<2>", body)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    head, rest = body.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return _themed(f'{head} aria-hidden="true">{rest}')


def _themed(svg: str) -> str:
    """Each colour of the palette has become a CSS variable, with itself to fall back on."""
    by_light = {tint.light: tint for tint in ALL}

    def variable(match: re.Match[str]) -> str:
        tint = by_light.get(match[2].lower())
        return f"{match[1]}var(--{tint.variable})" if tint else match[0]

    def tag(match: re.Match[str]) -> str:
        return re.sub(r"((?:fill|stroke): )(#[0-9a-fA-F]{6})\b", variable, match[0])

    # Only in tags: a label that happens to spell a colour stays as it is.
    return cast(str, re.sub(r"<[^>]*>", tag, svg))


def printable(text: str) -> str:
    """``text`` with what no document may hold (control characters, lone surrogates) replaced."""
    cleaned = "".join(
        each if (each >= " " and each != "\x7f") or each in ALLOWED_CONTROLS else "\ufffd"
        for each in text
    )
    return cleaned.encode("utf-8", "replace").decode("utf-8")
