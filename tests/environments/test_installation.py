from __future__ import annotations

import pytest

from harness.environments.installation import (
    last_pip_error,
    log_path,
    make_virtual_environment,
    pip_progress,
    spelled_out,
    told_last,
)
from harness.environments.interpreters import Interpreter
from harness.errors import WorkplaceError

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("Collecting toyframe==2.1 (from -r requirements.txt (line 1))", "collecting toyframe"),
        ("Collecting toy-dep[fast]>=1 (from toyframe)", "collecting toy-dep"),
        ("Processing /wheels/toyframe-2.1+cpu-cp311-cp311-any.whl", "unpacking toyframe"),
        (
            "Downloading toy_dep_cu12-1.0-py3-none-any.whl (5.1 MB)",
            "downloading toy_dep_cu12 (5.1 MB)",
        ),
        ("Downloading toy_dep-1.0-py3-none-any.whl.metadata (1 kB)", None),
        ("Building wheel for toyframe (pyproject.toml): started", "building toyframe"),
        ("Installing collected packages: toydep, toyframe", "installing 2 packages"),
        ("Installing collected packages: toydep", "installing 1 package"),
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken by …",
            "the package index does not answer, trying again",
        ),
        ("Successfully installed toydep-1.0", None),
        ("", None),
    ],
)
def test_what_pip_prints_is_told_in_a_few_words(printed: str, told: str | None) -> None:
    assert pip_progress(printed) == told


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["Collecting a", "ERROR: first", "ERROR: second", "WARNING: third"], "second"),
        (
            [
                "ERROR: Cannot install a==1 and b==2 because these have conflicting dependencies.",
                "The conflict is caused by:",
                "ERROR: ResolutionImpossible: for help visit the manual",
            ],
            "Cannot install a==1 and b==2 because these have conflicting dependencies.",
        ),
        (["Collecting a", "OSError: broken", ""], "OSError: broken"),
        ([], "nothing"),
    ],
)
def test_pips_own_error_is_found(lines: list[str], said: str) -> None:
    assert last_pip_error(lines) == said


def test_lines_of_a_file_that_is_gone_are_spelled_out() -> None:
    said = "Cannot install -r /cache/toy-0/requirements.txt (line 2) and toyframe==2.0 because …"
    assert spelled_out(said, ("toyframe==2.0", "toydep==1.0")) == (
        "Cannot install toydep==1.0 and toyframe==2.0 because …"
    )


def test_what_a_making_is_at_is_read_from_its_log(tmp_path) -> None:
    folder = tmp_path / "toy-0"
    assert told_last(folder) == ""
    log_path(folder).write_text("Collecting toydep\nInstalling collected packages: a\nhalf a li")
    assert told_last(folder) == "installing 1 package"


def test_an_interpreter_that_is_none_is_an_error(tmp_path) -> None:
    with pytest.raises(WorkplaceError, match=r"virtualenv could not make .*this Python is whole"):
        make_virtual_environment(tmp_path / "toy-0", Interpreter("/nonexistent/python", "3.11.0"))


def test_an_index_that_cannot_be_reached_is_named_as_such(environments, make_toy, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_RETRIES", "1")
    # Port 9 on this machine: nobody listens there, so the connection is refused at once.
    text = "--index-url http://127.0.0.1:9/simple\ntoyframe==1.0\n"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(WorkplaceError, match="the package index could not be reached"):
        environments.sync(make_toy(text))
