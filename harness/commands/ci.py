"""What a command leaves for the CI system that runs it, beside its exit code."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from harness.console import Console
from harness.report.cases import Case
from harness.report.ci import github_annotations, junit


def publish(
    console: Console,
    study: str,
    cases: Iterable[Case],
    junit_file: Path | None,
    summary: str = "",
) -> None:
    """``cases`` stand where CI systems look; what can't be written is a warning.

    Args:
        console: where annotations go, as GitHub reads them from the output.
        study: the command's name, for JUnit's suite.
        cases: all that was asked, and what came of it.
        junit_file: gets JUnit XML, where one is named.
        summary: Markdown for GitHub's page of the job.
    """
    cases = tuple(cases)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in github_annotations(cases):
            console.command(line)
        page = os.environ.get("GITHUB_STEP_SUMMARY")
        if page and summary:
            with console.extra("GITHUB_STEP_SUMMARY"), Path(page).open("ab") as file:
                file.write(summary.encode())
    if junit_file is not None:
        with console.extra("--junit"):
            junit_file.write_bytes(junit(study, cases))
