from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from harness.report.cases import Case
from harness.report.ci import github_annotations, junit

CASES = [
    Case("a", "speed"),
    Case("a", "parity", "failure", "parity lost", "a: off"),
    Case("b", "speed", "error", "speed too noisy", "b: 10%"),
    Case("c", "left out", "skipped", "left out", "c: none"),
]
texts = st.text()


def test_junit_counts_each_outcome():
    suite = ET.fromstring(junit("run", CASES))
    totals = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert totals == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert [case.get("classname") for case in suite] == ["a", "a", "b", "c"]
    assert suite[1].find("failure").get("message") == "a: off"


def test_failures_are_errors_on_github_and_the_rest_are_warnings():
    assert list(github_annotations(CASES)) == [
        "::error title=levelfield%3A parity lost::a: off",
        "::warning title=levelfield%3A speed too noisy::b: 10%25",
        "::warning title=levelfield%3A left out::c: none",
    ]


@given(texts, texts, texts)
def test_whatever_a_case_says_the_forms_stay_whole(subject, title, text):
    case = Case(subject, "speed", "failure", title, text)
    [line] = github_annotations([case])
    assert len(line.splitlines()) == 1
    assert line.startswith("::error title=")
    ET.fromstring(junit("run", [case]))
