"""What others wrote does nothing, wherever it is shown: for any text, at each exit."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ET

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.texts import (
    LONGEST,
    annotation,
    csv_table,
    json_text,
    markdown_code,
    markdown_lines,
    markdown_text,
    printable,
    terminal_text,
    xml_text,
)

LURES = (
    "<img src=x onerror=alert(1)>", "![a](http://b.c/d)", "[a](http://b.c)", "[a]: http://b.c",
    "<http://b.c>", "https://b.c/d", "www.b.com", "_www.b.com", "ftp://b", "a@b.com", "@team",
    "@org/team", "#12", "o/r#12", "GH-1", "&#64;team", "&lt;b&gt;", "`", "``", "|", "\\", "\\|",
    "**", "__", "_", "~~", "$x$", "# ", "- ", "1. ", "1) ", "> ", "---", "===", "    ", "\n",
    "\r\n", "\n\n", "\t", "\x00", "\x1b[31m", "\x1b]8;;http://b.c\x07", "\x9b2J", "\x7f", "\b",
    "\u202e", "\u2066", "\ud800", "\ufffe", "\uffff", "::error::x", "::stop-commands::x",
    "##[error]x", "%0A", "%", "=1+1", "+1", "-1", "@SUM(A1)", " =1", "'=1", '"', ",", ";", "]]>",
    "<!--", "é", "☃", "𝄞", "word", "1.2.3",
)  # fmt: skip
LETTERS = st.characters(codec=None, exclude_categories=())
FOREIGN = st.lists(st.one_of(st.sampled_from(LURES), st.text(LETTERS, max_size=6))).map("".join)
LINKS = re.compile(
    r"\w://|www\.|(?<![a-z0-9])@\w|[\w.+-]@[\w-]+\.[\w.-]*[a-z]|#\d|(?<![a-z0-9])GH-\d",
    re.IGNORECASE,
)
"""What GitHub makes a link of without being asked."""


def obeyed(text: str, *, allowed: str = "") -> list[str]:
    """What of ``text`` a terminal does not show as a letter."""
    return [
        each
        for each in text
        if each not in allowed
        and (unicodedata.category(each) in ("Cc", "Cs") or each in "\u202a\u202e\u2066\u2069")
    ]


@given(FOREIGN)
def test_a_terminal_shows_it_and_obeys_nothing(text):
    shown = terminal_text(text)
    assert not obeyed(shown, allowed="\n\t")
    assert not re.search(r"^\s*::.*?::", shown, re.MULTILINE)
    assert "##[" not in shown
    assert terminal_text(shown) == shown


@given(FOREIGN)
@example("a\n- b\n# c\n\n---\n| d |")
@example("---")
@example("1. a")
@example("+")
@example("# # ")
@example("a ##")
def test_markdown_shows_one_line_and_links_nothing(text):
    source = markdown_text(text)
    assert not LINKS.search(source), source
    assert not obeyed(source)
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for before, after in (("", ""), ("- ", ""), ("### ", ""), ("| a |\n| --- |\n| ", " |")):
        tokens = reader.parse(f"{before}{source}{after}")
        [inline] = [each for each in tokens if each.type == "inline" and each.content != "a"] or [
            None
        ]
        if inline is None:
            assert not source or before == "| a |\n| --- |\n| "
            continue
        kinds = {each.type for each in inline.children}
        assert kinds <= {"text", "text_special"}, (source, kinds)
        told = "".join(each.content for each in inline.children).replace("\u200b", "")
        wanted = " ".join(printable(text).split()).replace("\u200b", "")
        assert told == wanted or "letters)" in told


@given(FOREIGN)
def test_markdown_shows_code_as_it_is(text):
    [inline] = [
        each
        for each in MarkdownIt("commonmark").parse(f"run {markdown_code(text)}; again")
        if each.type == "inline"
    ]
    kinds = [each.type for each in inline.children]
    assert kinds == ["text", "code_inline", "text"]
    assert inline.children[1].content.strip() == " ".join(printable(text).split())


@given(FOREIGN, FOREIGN)
def test_xml_is_well_formed(text, name):
    element = ET.Element("testcase", classname=xml_text(name))
    ET.SubElement(element, "failure", message=xml_text(text)).text = xml_text(text)
    again = ET.fromstring(ET.tostring(element, encoding="utf-8", xml_declaration=True))
    assert again.get("classname") == xml_text(name)
    assert again[0].get("message") == xml_text(text) == (again[0].text or "")


@given(FOREIGN, FOREIGN)
def test_an_annotation_is_one_command(text, title):
    line = annotation("error", title, text)
    assert len(line.splitlines()) == 1
    assert not obeyed(line)
    found = re.fullmatch(r"::error title=([^:,]*)::(.*)", line)
    assert found
    assert not re.search(r"%(?!25|3A|2C)", found[1] + found[2])
    assert "##[" not in line


@given(st.lists(st.tuples(FOREIGN, FOREIGN), max_size=3))
def test_a_spreadsheet_computes_nothing(rows):
    table = csv_table(("a", "b"), rows)
    assert not obeyed(table, allowed="\n\t")
    read = list(csv.reader(io.StringIO(table)))
    assert len(read) == len(rows) + 1
    for cells, known in zip(read[1:], rows, strict=True):
        for cell, text in zip(cells, known, strict=True):
            assert cell.lstrip()[:1] not in ("=", "+", "-", "@") or not cell.lstrip()
            assert cell.removeprefix("'") == printable(text).removeprefix("'")


def test_numbers_in_a_table_are_numbers():
    table = csv_table(("a", "b", "c", "d"), [(-1, -0.1, None, True)])
    assert table == "a,b,c,d\n-1,-0.1,,true\n"


@given(FOREIGN.map(lambda text: text.encode("utf-8", "replace").decode()))
def test_json_says_the_same_and_commands_no_terminal(text):
    shown = json_text(msgspec.json.encode({text: [text]}))
    assert json.loads(shown) == {text: [text]}
    assert not obeyed(shown.decode())


@given(FOREIGN)
def test_documents_hold_what_they_may(text):
    assert not obeyed(printable(text), allowed="\n\t")
    ET.fromstring(f"<a>{printable(text).replace('&', '').replace('<', '').replace(']]>', '')}</a>")


@pytest.mark.parametrize("shown", [markdown_text, markdown_code, xml_text])
def test_a_flood_is_cut_and_says_so(shown):
    text = shown("x" * 200_000)
    assert len(text) < LONGEST + 50
    assert "200,000 letters" in text


def test_lines_are_kept_while_there_is_room():
    lines = ["x" * 99] * 30
    assert markdown_lines(lines, 3_000) == lines
    assert markdown_lines(lines, 2_999) == [*lines[:29], "… and 1 more: the report has them."]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2.1× [2.0, 2.2] faster", "2.1× [2.0, 2.2] faster"),
        ("first_step of a_b_c", "first_step of a_b_c"),
        ("a|b", "a\\|b"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("[x](javascript:y)", "[x\\](javascript:y)"),
        ("two\nlines  here", "two lines here"),
        ("*bold* _so_ `code` $x$", "\\*bold\\* \\_so\\_ \\`code\\` \\$x\\$"),
        ("# no heading", "\\# no heading"),
        ("in C # and C#, C ##", "in C # and C#, C \\##"),
        ("1. no list", "1\\. no list"),
        ("back\\slash", "back\\\\slash"),
        ("keras@3.15.1 --out a", "keras@3.15.1 --out a"),
        ("by @who", "by @\u200bwho"),
        ("https://a.b", "https:\u200b//a.b"),
        ("-3.1 % and -f", "-3.1 % and -f"),
    ],
)
def test_text_is_shown_as_it_is(text, shown):
    assert markdown_text(text) == shown


def test_printable_replaces_what_no_document_may_hold():
    assert printable("a\n\tb\x00\x1b\x9b\u202e\ud800") == "a\n\tb\ufffd\ufffd\ufffd\ufffd?"
