"""A page as one HTML file that loads nothing: style and figures stand in it, scripts do not."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
    colours = {tint.light: f"var(--{tint.variable})" for tint in ALL}

    def adapted(tag: re.Match[str]) -> str:
        text = re.sub(r' id="([\w-]+)"', lambda m: m[0] if m[1] in used else "", tag[0])
        text = re.sub(r'( id="|href="#|url\(#)([\w-]+)', rf"\g<1>{name}-\g<2>", text)
        return re.sub(r"#[0-9a-f]{6}\b", lambda m: colours.get(m[0], m[0]), text)

    # Only tags are changed: a label that happens to spell an id or a colour stays as it is.
    head, rest = re.sub(r"<[^>]*>", adapted, body).split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} aria-hidden="true">{rest}'


def printable(text: str) -> str:
    """``text`` with what no document may hold (control characters, lone surrogates) replaced."""
    cleaned = "".join(
        each if (each >= " " and each != "\x7f") or each in ALLOWED_CONTROLS else "\ufffd"
        for each in text
    )
    return cleaned.encode("utf-8", "replace").decode("utf-8")
