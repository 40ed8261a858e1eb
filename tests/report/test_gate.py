from __future__ import annotations

import xml.etree.ElementTree as ET

import msgspec
import pytest

from harness.analysis.gate import GatedCell, GateJudgement, NotCompared, gate
from harness.analysis.observations import Observations
from harness.report.cases import gate_cases
from harness.report.ci import github_annotations, junit
from harness.report.gate import gate_rows, markdown
from harness.report.view import page_of
from harness.spec.gates import Thresholds
from tests.analysis.gates import gated

CELL = GatedCell(
    series="lenet-sgd/alpha/eager/resident/cpu-2t",
    base="base",
    head="head",
    speed="held",
    accuracy="held",
    parity="proved",
    thresholds=Thresholds(),
    slowdown=0.004,
    slowdown_at_least=-0.01,
    slowdown_at_most=0.02,
    blocks=20,
    accuracy_loss=1e-9,
    accuracy_loss_at_least=-0.01,
    seeds=3,
)


def judgement(code: int = 0, **changes: object) -> GateJudgement:
    cell = msgspec.structs.replace(CELL, **changes)
    return GateJudgement(
        run="r", base="main", commit="0123456789abcdef", cells=(cell,), exit_code=code
    )


def test_a_row_says_what_has_held():
    [row] = gate_rows(judgement(), {"alpha": "Alpha"})
    assert row[:2] == ("Alpha, lenet-sgd, eager, resident, cpu-2t", "held")
    assert row[2:4] == ("+0.4%", "[-1.0%, +2.0%], 20 blocks")
    assert row[5:] == ("held: +0.00 points, 3 seeds", "proved")


def test_the_table_is_safe_in_a_pull_request():
    hostile = judgement(1, speed="slower", detail="<img src=x onerror=alert(1)> | a\nb")
    text = markdown(hostile, gated().manifest)
    assert "<img" not in text
    assert text.startswith("### Regression, against main (0123456789ab)\n")
    assert "\\| a b" in text


def test_accuracy_that_nothing_could_be_seen_of_is_said_everywhere():
    blind = judgement(4, accuracy="too_noisy", accuracy_loss=0.06, accuracy_loss_at_most=0.13)
    said = "a loss of 5 points could have gone unseen by 3 seeds"
    [row] = gate_rows(blind, {})
    assert row[5] == "too noisy: -6.00 points, 3 seeds"
    assert said in markdown(blind, gated().manifest)
    assert any(said in line for line in github_annotations(gate_cases(blind)))
    [case] = [
        each
        for each in ET.fromstring(junit("gate", gate_cases(blind)))
        if each.find("error") is not None
    ]
    assert case.get("name") == "accuracy"


def test_what_was_left_out_stands_in_the_table_and_in_junit():
    left_out = (NotCompared(what="gamma", reason="main does not have it"),)
    found = msgspec.structs.replace(judgement(), left_out=left_out)
    table = markdown(found, gated().manifest)
    assert "| gamma | left out: main does not have it | — |" in table
    assert list(github_annotations(gate_cases(found))) == [
        "::warning title=levelfield%3A left out::gamma: main does not have it"
    ]
    suite = ET.fromstring(junit("gate", gate_cases(found)))
    assert (suite.get("tests"), suite.get("skipped")) == ("4", "1")
    strict = ET.fromstring(junit("gate", gate_cases(msgspec.structs.replace(found, strict=True))))
    assert (strict.get("errors"), strict.get("skipped")) == ("1", "0")


def test_the_reason_of_what_was_not_compared_stands_in_its_row():
    lost = judgement(2, speed="not_compared", detail="load: the base has no weights")
    [row] = gate_rows(lost, {})
    assert row[1] == "not compared: load: the base has no weights"
    suite = ET.fromstring(junit("gate", gate_cases(msgspec.structs.replace(lost, strict=True))))
    assert (suite.get("errors"), suite.get("skipped")) == ("1", "0")


def test_both_commits_are_named():
    found = msgspec.structs.replace(judgement(), tip="fedcba9876543210", head="5a5a5a5a5a5a+")
    table = markdown(found, gated().manifest)
    base = "0123456789ab, the merge base with main (fedcba987654)"
    assert table.startswith(f"### No regression, against {base}\n")
    assert f"- Base: {base}. Head: 5a5a5a5a5a5a+.\n" in table


def test_annotations_are_github_s_commands():
    lost = judgement(1, speed="slower", slowdown=0.3, slowdown_at_least=0.2)
    [line] = github_annotations(gate_cases(lost))
    assert line == (
        "::error title=levelfield%3A speed lost::lenet-sgd/alpha/eager/resident/cpu-2t: "
        "+30.0%25 time a step, [+20.0%25, +2.0%25], 20 blocks"
    )
    noisy = judgement(4, speed="too_noisy", detail="one\ntwo")
    assert next(iter(github_annotations(gate_cases(noisy)))).startswith("::warning title=")
    assert next(iter(github_annotations(gate_cases(noisy)))).endswith(": one two")
    assert list(github_annotations(gate_cases(judgement()))) == []


@pytest.mark.parametrize(
    "changes, counts",
    [
        ({}, (0, 0, 0)),
        ({"speed": "slower", "accuracy": "lower"}, (2, 0, 0)),
        ({"speed": "too_noisy", "accuracy": "not_judged"}, (0, 1, 1)),
        ({"speed": "not_compared", "parity": "lost"}, (1, 0, 1)),
    ],
)
def test_junit_counts_what_it_holds(changes, counts):
    suite = ET.fromstring(junit("gate", gate_cases(judgement(**changes))))
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["speed", "accuracy", "parity"]
    names = ("failure", "error", "skipped")
    assert tuple(len(suite.findall(f"testcase/{name}")) for name in names) == counts
    said = tuple(int(suite.get(key)) for key in ("failures", "errors", "skipped"))
    assert (suite.get("tests"), said) == ("3", counts)


def test_the_report_of_a_gate_begins_with_its_conclusion():
    page = page_of(Observations(gated(0.2)))
    assert page.question == "Has Alpha and Beta become slower, less accurate or wrong since main?"
    assert (page.banners[0].tone, page.banners[0].title) == ("bad", "Regression, against main")
    assert page.overview is not None and page.overview.id == "gate"
    assert "gate" not in [section.id for section in page.sections]
    [table] = page.overview.blocks
    assert table.rows[0][1].text == "slower"
    assert gate(Observations(gated(0.2))).exit_code == 1
