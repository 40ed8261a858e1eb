"""A page as one HTML file that loads nothing: style, figures and one script of ours stand in it.

A content security policy names that script by its hash and forbids every other one, and every
request, so that even text that slipped through unescaped could do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report.formats import Amount
from harness.report.headlines import Headline
from harness.report.marks import attributes
from harness.report.page import Datum, Page, Player
from harness.report.palette import ALL, SERIES
from harness.texts import printable

DOT = re.compile(r"M (-?[\d.]+) (-?[\d.]+) \nL \1 \2 \n")
"""A stroke without length in a path, as ``drawing.draw_dots`` makes them."""


def html(page: Page, drawings: Mapping[str, str]) -> str:
    """The whole document; ``drawings`` holds the SVG of each figure by its name."""
    environment = _environment()
    script = environment.get_template("script.js").render()
    inlined, looks = with_classes({name: inline_svg(svg, name) for name, svg in drawings.items()})
    text = environment.get_template("report.html").render(
        page=page,
        frameworks=[list(own) for _, own in groupby(page.players, key=lambda each: each.colour)],
        drawings={name: Markup(svg) for name, svg in inlined.items()},
        looks=Markup(looks),
        **_furniture(environment, script),
    )
    return printable(text)


def index_html(headlines: Sequence[Headline]) -> str:
    """A page that lists reports, as one document that loads nothing either."""
    environment = _environment()
    script = environment.get_template("script.js").render()
    text = environment.get_template("index.html").render(
        headlines=headlines, **_furniture(environment, script)
    )
    return printable(text)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"facts": datum_facts, "data_uri": data_uri, "key": player_key}
    environment.filters["words"] = unbroken_words
    return environment


def _furniture(environment: Environment, script: str) -> dict[str, object]:
    """What every document holds, whatever it says."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "style": Markup(environment.get_template("style.css").render(tints=ALL)),
        "script": Markup(script),
        "policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"base-uri 'none'; form-action 'none'; script-src 'sha256-{digest}'",
        "colours": len(SERIES),
    }


def datum_facts(datum: Datum) -> Markup:
    """What the script needs to know of a table cell, as attributes."""
    found = {}
    if isinstance(datum.text, Amount):
        found = {"value": f"{datum.text.raw!r}", "unit": datum.text.unit}
    if datum.colour is not None:
        found["who"] = f"{datum.colour}-{datum.variant}"
    # Markup escapes what is formatted into it.
    return Markup("").join(
        Markup(' data-{}="{}"').format(*each) for each in found.items() if each[1]
    )


def unbroken_words(text: str) -> Markup:
    """``text`` whose words, commands' options among them, are broken only where they must."""
    parts = re.split(r"([ \n]+)", text)
    return Markup("").join(
        Markup("<span>{}</span>").format(part) if part.strip() else part for part in parts
    )


def player_key(player: Player) -> str:
    """What marks on charts and tables call the contender."""
    return f"{player.colour}-{player.variant}"


def data_uri(csv: str) -> str:
    """The file itself as a link, which needs neither a server nor a script."""
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(csv.encode()).decode()}"


def inline_svg(svg: str, name: str) -> str:
    """``svg`` fit to stand in a page beside others: own ids, the page's colours, no fixed size."""
    body = DOT.sub(_short_dot, svg[svg.index("<svg") :].strip())
    used = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', body))
    colours = {tint.light: f"var(--{tint.variable})" for tint in ALL}

    def adapted(tag: re.Match[str]) -> str:
        marked = re.search(r' id="(mark:[^"]*)"', tag[0])
        if marked:
            return tag[0].replace(marked[0], attributes(marked[1]))
        text = re.sub(r' id="([\w-]+)"', lambda m: m[0] if m[1] in used else "", tag[0])
        text = re.sub(r'( id="|href="#|url\(#)([\w-]+)', rf"\g<1>{name}-\g<2>", text)
        return re.sub(r"#[0-9a-f]{6}\b", lambda m: colours.get(m[0], m[0]), text)

    # Only tags are changed: a label that happens to spell an id or a colour stays as it is.
    head, rest = re.sub(r"<[^>]*>", adapted, body).split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} aria-hidden="true">{rest}'


def with_classes(drawings: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The drawings with classes for their styles, and these as CSS: few styles, many strokes."""
    names: dict[str, str] = {}

    def classed(tag: re.Match[str]) -> str:
        return re.sub(
            r' style="([^"]*)"',
            lambda style: f' class="{names.setdefault(style[1], f"d{len(names)}")}"',
            tag[0],
        )

    found = {name: re.sub(r"<[^>]*>", classed, svg) for name, svg in drawings.items()}
    return found, "\n".join(f".{name} {{ {style} }}" for style, name in names.items())


def _short_dot(dot: re.Match[str]) -> str:
    """The same dot in a third of the letters: pages hold tens of thousands."""
    return f"M{float(dot[1]):.2f} {float(dot[2]):.2f}l0 0"
