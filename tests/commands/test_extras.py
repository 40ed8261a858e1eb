"""The answer comes first, and stands, whatever becomes of the files that are written beside it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from harness.commands.gate import show_gate
from harness.commands.results import show_measured
from harness.console import Console
from harness.report import charts
from harness.spec.events import Failure
from harness.spec.manifest import Run
from tests.analysis.gates import gated
from tests.analysis.golden import stored_run

from .stored import store

HOSTILE = "@team ![x](http://a.b/c) <img src=x> \x1b[31m \x00 ::error::x\n::stop-commands::x " * 99


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where reports go."""
    return tmp_path / "reports"


def in_ci(monkeypatch: pytest.MonkeyPatch, summary: Path) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))


def test_everything_beside_a_gate_s_answer_may_fail(tmp_path, out, monkeypatch, capsys):
    out.write_text("a file where a folder would be")
    in_ci(monkeypatch, tmp_path / "nowhere" / "summary.md")
    folder = store(gated(0.2), tmp_path)
    assert show_gate(Console(), folder, out, tmp_path / "nowhere" / "gate.xml") == 1
    said = capsys.readouterr()
    assert "### Regression, against main" in said.out
    warnings = [line for line in said.err.splitlines() if line.startswith("Warning: ")]
    assert [line.split(" can't be written")[0] for line in warnings] == [
        "Warning: GITHUB_STEP_SUMMARY",
        "Warning: --junit",
        "Warning: The table for a comment",
        "Warning: The report",
    ]
    assert "Report: " not in said.out
    assert said.out.index("### Regression") < said.out.index("::error title=")


def test_a_mistake_while_drawing_is_a_warning(tmp_path, out, monkeypatch, capsys):
    def draw(chart: object) -> str:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(charts, "draw", draw)
    folder = store(stored_run("parity_failed"), tmp_path)
    assert show_measured(Console(json=True), "run", folder, out, None) == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["exit_code"] == 3
    assert "Warning: The report can't be made, a mistake of levelfield's own: ZeroDivis" in said.err


def test_what_others_wrote_does_nothing_at_any_exit(tmp_path, out, monkeypatch, capsys):
    run = gated()
    failures = [
        Failure(at=1.0, cell=one.id, phase="training", reason=HOSTILE, detail=HOSTILE)
        for one in run.manifest.cells
    ]
    run = Run(manifest=run.manifest, events=[*run.events, *failures])
    hostile = msgspec.structs.replace(run.manifest, titles={"alpha": HOSTILE, "beta": HOSTILE})
    in_ci(monkeypatch, tmp_path / "summary.md")
    folder = store(Run(manifest=hostile, events=run.events), tmp_path)
    show_gate(Console(), folder, out, tmp_path / "gate.xml")
    said = capsys.readouterr()
    assert "failed" in said.out
    assert "@\u200bteam" in said.out
    for text in (said.out, said.err):
        assert not {"\x1b", "\x00"} & set(text)
        commands = [line for line in text.splitlines() if line.lstrip().startswith("::")]
        assert all(line.startswith(("::error title=", "::warning title=")) for line in commands)
    ET.fromstring((tmp_path / "gate.xml").read_bytes())
    comments = [
        *(out / "latest" / name for name in ("gate.md", "comment.md")),
        tmp_path / "summary.md",
    ]
    for path in comments:
        text = path.read_text("utf-8")
        assert len(text) < 65_000
        for live in ("@team", "http://", "<img", "\x1b", "\x00"):
            assert live not in text, (path, live)
        assert not re.search(r"(?<!\\)\]\(", text)
