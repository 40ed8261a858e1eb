import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.analysis.observations import Observations
from harness.report import html
from harness.report.files import write_report
from harness.report.html import inline_svg, with_classes
from harness.report.palette import SERIES
from harness.spec.manifest import Run

BLUE = SERIES[0].light
SCRIPT = (Path(html.__file__).parent / "templates" / "script.js").read_text("utf-8").rstrip("\n")


def test_no_other_script_may_run_and_nothing_may_be_asked_for(
    tell: Callable[..., Run], tmp_path: Path
) -> None:
    source = write_report(Observations(tell(blocks=0, long_trials=False)), tmp_path).read_text(
        "utf-8"
    )
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert "default-src &#39;none&#39;; style-src" in source
    assert f"script-src &#39;sha256-{digest}&#39;" in source


def test_the_page_stands_alone(
    tell: Callable[..., Run], read_html: Callable[[str], Any], tmp_path: Path
) -> None:
    source = write_report(Observations(tell()), tmp_path).read_text("utf-8")
    document = read_html(source)
    assert document.faults == []
    assert document.scripts == [SCRIPT]
    assert "iframe" not in document.tags
    assert document.handlers == []
    own = ("#", "data:,", "data:text/csv;")
    assert [link for link in document.links if not link.startswith(own)] == []
    assert re.findall(r"@import|url\((?!#)", source) == []
    assert len(document.ids) == len(set(document.ids))
    targets = {link.removeprefix("#") for link in document.links if link.startswith("#")}
    assert targets <= set(document.ids)


def test_what_others_wrote_stays_text(
    hostile_run: Run, hostile: str, read_html: Callable[[str], Any], tmp_path: Path
) -> None:
    source = write_report(Observations(hostile_run), tmp_path).read_text("utf-8")
    document = read_html(source)
    assert document.faults == []
    assert document.scripts == [SCRIPT]
    assert "img" not in document.tags
    assert document.handlers == []
    assert " ".join(hostile.split()) in document.text
    assert any("$\\frac{{{7*7}}" in text or "…" in text for text in document.svg_texts)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", source)


def test_inlined_figures_share_neither_ids_nor_colours_with_others() -> None:
    svg = (
        '<?xml version="1.0"?><svg width="1pt" height="2pt" viewBox="0 0 1 2">'
        f'<g id="axes_1"><defs><path id="m1"/></defs><use href="#m1" style="fill: {BLUE}"/>'
        f'<g clip-path="url(#m1)"/><text>{BLUE} id="m1"</text></g></svg>'
    )
    assert inline_svg(svg, "rates-1") == (
        '<svg viewBox="0 0 1 2" aria-hidden="true">'
        '<g><defs><path id="rates-1-m1"/></defs>'
        '<use href="#rates-1-m1" style="fill: var(--series-1)"/>'
        f'<g clip-path="url(#rates-1-m1)"/><text>{BLUE} id="m1"</text></g></svg>'
    )


def test_styles_that_many_strokes_share_are_written_once() -> None:
    svg = '<svg><path style="fill: red"/><text style="fill: blue">a style="x" b</text></svg>'
    assert with_classes({"a": svg, "b": '<svg style="fill: red"></svg>'}) == (
        {
            "a": '<svg><path class="d0"/><text class="d1">a style="x" b</text></svg>',
            "b": '<svg class="d0"></svg>',
        },
        ".d0 { fill: red }\n.d1 { fill: blue }",
    )


def test_dots_are_written_in_short() -> None:
    dot = "M 123.456789 45.678901 \nL 123.456789 45.678901 \n"
    line = "M 1.123456 2 \nL 1.123457 2 \n"
    svg = f'<svg><path d="{dot}{line}"/></svg>'
    assert inline_svg(svg, "a") == (
        f'<svg aria-hidden="true"><path d="M123.46 45.68l0 0{line}"/></svg>'
    )
