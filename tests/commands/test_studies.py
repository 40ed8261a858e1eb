"""One table: study × what happened → exit code, JUnit, annotations, page and JSON, of every study
that can fail."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from harness.commands.baselines import check_run
from harness.commands.gate import show_gate
from harness.commands.results import show_measured, show_verification
from harness.commands.tax import show_tax
from harness.console import Console
from harness.spec.manifest import Run
from tests.analysis.gates import gated
from tests.analysis.golden import stored_run
from tests.analysis.test_studies import failing, plain, taxed

from .stored import store
from .test_baselines import FASTER, FILE, grown, slowed

Shown = Callable[[Console, Path, Path, Path], int]


class Situation(NamedTuple):
    """A stored run, and what its study has to say."""

    run: Run
    code: int
    failures: int
    errors: int
    said: str = ""
    """Of an annotation."""


def measured(console: Console, folder: Path, out: Path, junit: Path) -> int:
    return show_measured(console, "run", folder, out / "reports", junit)


def verified(console: Console, folder: Path, out: Path, junit: Path) -> int:
    return show_verification(console, folder, junit)


def gate(console: Console, folder: Path, out: Path, junit: Path) -> int:
    return show_gate(console, folder, out / "reports", junit)


def tax(console: Console, folder: Path, out: Path, junit: Path) -> int:
    return show_tax(console, folder, out / "reports", junit)


def check(console: Console, folder: Path, out: Path, junit: Path) -> int:
    return check_run(console, folder, out / FILE, out, strict=True, junit_file=junit)


STUDIES: dict[str, tuple[Shown, set[str], dict[str, Situation]]] = {
    "run": (
        measured,
        {"judgement", "failures", "skips", "report"},
        {
            "clean": Situation(plain(), 0, 0, 0),
            "a failure": Situation(failing(plain()), 2, 0, 1, "warning title=levelfield%3A not"),
            "parity lost": Situation(
                plain(worst={"beta": 1e-3}), 3, 1, 0, "error title=levelfield%3A parity lost"
            ),
        },
    ),
    "verify": (
        verified,
        {"parity", "between_frameworks", "failures"},
        {
            "clean": Situation(plain(), 0, 0, 0),
            "parity lost": Situation(
                plain(worst={"beta": 1e-3}), 3, 1, 0, "error title=levelfield%3A parity lost"
            ),
        },
    ),
    "gate": (
        gate,
        {"judgement", "markdown", "report"},
        {
            "clean": Situation(gated(), 0, 0, 0),
            "slower": Situation(gated(0.3), 1, 1, 0, "error title=levelfield%3A speed lost"),
            "too noisy": Situation(gated(sd=0.3), 4, 0, 1, "warning title=levelfield%3A speed too"),
        },
    ),
    "tax": (
        tax,
        {"taxes", "report"},
        {
            "met": Situation(taxed(1.0), 0, 0, 0),
            "missed": Situation(taxed(0.9), 1, 1, 0, "error title=levelfield%3A goal missed"),
            "open": Situation(
                taxed(0.97, 10, 0.3), 0, 0, 0, "warning title=levelfield%3A goal open"
            ),
            "a failure": Situation(failing(taxed(1.0)), 2, 0, 1),
        },
    ),
    "check": (
        check,
        {"cells", "baseline", "label", "strict", "report"},
        {
            "clean": Situation(FASTER, 0, 0, 0),
            "slower": Situation(
                slowed(FASTER, 1.1), 1, 3, 0, "error title=levelfield%3A speed lost"
            ),
            "parity lost": Situation(stored_run("parity_failed"), 3, 1, 0, "parity lost"),
        },
    ),
}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baseline")
    grown(folder)
    return folder


@pytest.mark.parametrize(
    ("study", "name"),
    [(study, name) for study, (_, _, situations) in STUDIES.items() for name in situations],
)
def test_every_study_says_the_same_in_every_form(
    study: str, name: str, baseline: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    show, keys, situations = STUDIES[study]
    situation = situations[name]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    run = situation.run
    if study == "check":
        out = baseline
        run = Run(
            manifest=msgspec.structs.replace(run.manifest, run=f"checked-{name.split()[-1]}"),
            events=run.events,
        )
    else:
        out = tmp_path
    folder, junit = store(run, out), tmp_path / "result.xml"
    assert show(Console(), folder, out, junit) == situation.code
    annotated = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
    assert any(situation.said in line for line in annotated) or not situation.said
    assert sum(line.startswith("::error") for line in annotated) == situation.failures
    code = show(Console(json=True), folder, out, junit)
    answer = json.loads(capsys.readouterr().out)
    assert keys | {"run", "exit_code"} <= answer.keys()
    assert answer["exit_code"] == code
    suite = ET.fromstring(junit.read_bytes())
    assert suite.get("name") == f"levelfield {study}"
    counted = [suite.get(each) for each in ("failures", "errors")]
    assert counted == [str(situation.failures), str(situation.errors)]
    if "report" in keys:
        page = Path(answer["report"])
        assert page.name == "index.html"
        text = page.read_text("utf-8")
        assert (page.parent / "report.md").is_file()
        if study in ("gate", "tax", "check"):
            assert f'id="{study}"' in text
