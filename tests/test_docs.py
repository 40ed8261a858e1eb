"""What the documents name is there: files, links, headings, modules, tests, environments of tox."""

from __future__ import annotations

import ast
import configparser
import pkgutil
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness import paths
from tests.test_floors import FLOORS

ROOT = paths.ROOT
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DRAWING = ROOT / "docs" / "architecture.svg"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]
)
INTERNAL = [
    path
    for path in DOCUMENTS
    if path == ARCHITECTURE or path.name == "CONTRIBUTING.md" or path.parent.name == "decisions"
]
"""Those that speak of our own code: there every name has to be one."""
FOLDERS = "benchmarks|docs|harness|impls|levelfield|tests|\\.github|\\.ci"
FILE_TYPES = "css|html|ipynb|json|jsonl|lock|md|npz|py|pyi|sh|svg|toml|txt|typed|yml|yaml|xml"
CODE = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def spans(path: Path) -> list[str]:
    """What stands as code within the sentences of a document, or in a drawing."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".svg":
        texts = (each.text or "" for each in ElementTree.fromstring(text).iter())
        return [word for each in texts for word in re.split(r"[,\s]+", each)]
    return CODE.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def named_paths(path: Path) -> set[str]:
    """Paths of the repository, with a test's name behind some; no placeholders."""
    found = {span for span in spans(path) if re.match(rf"({FOLDERS})/", span)}
    return {each for each in found if re.fullmatch(r"[\w./:*+-]+", each)}


def missing(named: str) -> str:
    """What of a named path is not there."""
    file, _, test = named.partition("::")
    if "*" in file:
        return "" if list(ROOT.glob(file)) else file
    if not (ROOT / file).exists():
        return file
    if not test:
        return ""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    names = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    return "" if test in names else named


def resolves(name: str) -> bool:
    """Whether it is the name of a module, or of what one defines, under ``harness`` or ours."""
    ours = name.split(".")[0] in {"harness", "impls", "levelfield", "tests"}
    try:
        pkgutil.resolve_name(name if ours else f"harness.{name}")
    except (ImportError, AttributeError):
        return False
    return True


def dotted_names(path: Path) -> set[str]:
    return {
        span
        for span in spans(path)
        if DOTTED.fullmatch(span) and not re.search(rf"\.({FILE_TYPES})$", span)
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_that_are_named_are_there(path):
    if path.name == "CHANGELOG.md":
        return  # it tells of what has gone, too
    assert [each for each in sorted(named_paths(path)) if missing(each)] == []


@pytest.mark.parametrize("path", [*INTERNAL, DRAWING], ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_what_they_define_are_there(path):
    assert [each for each in sorted(dotted_names(path)) if not resolves(each)] == []


def test_there_are_names_to_look_up():
    """So that the tests above have something to fail for."""
    assert len(dotted_names(ARCHITECTURE)) > 50
    assert len(named_paths(ARCHITECTURE)) > 40
    assert "analysis.protocol" in dotted_names(DRAWING)
    assert not resolves("analysis.protocol.holms")
    assert not resolves("analysis.protocols")
    assert missing("tests/test_docs.py::test_nothing_at_all")


def headings(path: Path) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    titles = re.findall(r"^#+ +(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = path.parent / file if file else path
        if not place.exists() or (anchor and anchor not in headings(place)):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_environments_of_tox_are_there(path):
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "tox.ini", encoding="utf-8")
    known = {each.removeprefix("testenv:") for each in settings.sections()}
    named = set(re.findall(r"tox -e ([\w-]+)", path.read_text(encoding="utf-8")))
    assert path.name == "CHANGELOG.md" or named <= known


def test_the_floors_are_those_that_are_tested():
    _, _, rest = ARCHITECTURE.read_text(encoding="utf-8").partition("\n## The floors\n")
    table, _, _ = rest.partition("\n## ")
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == FLOORS


def test_nothing_that_readers_make_is_tracked() -> None:
    """A tracked ``.venv`` would stand in the way of the README's first command."""
    made = ("git", "-C", str(ROOT), "ls-files", "--", ".venv", ".tox", ".ci/venv", "results/runs")
    listed = subprocess.run(made, capture_output=True, text=True, check=False)
    assert listed.stdout == ""
