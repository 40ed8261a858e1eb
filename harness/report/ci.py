"""Cases in the forms that CI systems read: JUnit XML, and GitHub's annotations."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator

from harness.report.cases import Case
from harness.texts import annotation, xml_text


def github_annotations(cases: Iterable[Case]) -> Iterator[str]:
    """Workflow commands: an error for each failure, a warning for what else did not pass.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    for case in cases:
        if case.outcome != "passed":
            level = "error" if case.outcome == "failure" else "warning"
            yield annotation(level, f"levelfield: {case.title}", case.text)


def junit(study: str, cases: Iterable[Case]) -> bytes:
    """A JUnit test suite, called after the study, with a test case for each of ``cases``."""
    suite = ET.Element("testsuite", name=f"levelfield {study}")
    outcomes: Counter[str] = Counter()
    for case in cases:
        outcomes[case.outcome] += 1
        element = ET.SubElement(
            suite, "testcase", classname=xml_text(case.subject), name=xml_text(case.asked)
        )
        if case.outcome != "passed":
            ET.SubElement(element, case.outcome, message=xml_text(case.text))
    totals = {
        "tests": outcomes.total(),
        "failures": outcomes["failure"],
        "errors": outcomes["error"],
        "skipped": outcomes["skipped"],
    }
    for name, total in totals.items():
        suite.set(name, str(total))
    ET.indent(suite)
    body: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return body + b"\n"
