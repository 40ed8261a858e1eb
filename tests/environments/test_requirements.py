from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from harness.environments.requirements import Wanted, pinned_lines, requirement_lines
from harness.errors import UsageError

names = st.sampled_from(["alpha", "beta", "gamma-ray", "delta"])
pins = st.builds("{}{}".format, names, st.sampled_from(["", "==1.0", ">=2,<3", "~=1.4"]))
options = st.sampled_from(["--no-index", "--find-links file:///wheels", "--pre"])
lines = st.lists(pins | options, max_size=6).map(tuple)


def wanted(**changes: object) -> Wanted:
    fields = {
        "framework": "toy",
        "package": "toyframe",
        "device": "cpu",
        "python": "3.11",
        "requirements": ("toyframe==1.0",),
    }
    return Wanted(**{**fields, **changes})  # type: ignore[arg-type]


@given(lines)
def test_a_pin_changes_only_its_own_lines(given_lines: tuple[str, ...]) -> None:
    pinned = pinned_lines(given_lines, "Gamma_Ray", "7.1")
    changed = [line for line in pinned if line not in given_lines]
    assert set(changed) <= {"gamma-ray==7.1", "Gamma_Ray==7.1"}
    assert changed, "the version is asked for"
    kept = [line for line in given_lines if not line.startswith("gamma-ray")]
    assert [line for line in pinned if line not in changed] == kept


@given(lines)
def test_what_is_pinned_can_be_read_again(given_lines: tuple[str, ...]) -> None:
    pinned = pinned_lines(given_lines, "beta", "7.1")
    assert requirement_lines("\n".join(pinned), "file") == pinned
    assert pinned_lines(pinned, "beta", "7.1") == pinned


def test_a_pin_keeps_extras_and_markers_and_drops_hashes() -> None:
    line = 'toyframe[fast]==1.0; python_version >= "3.10" --hash=sha256:00'
    (pinned,) = pinned_lines((line,), "toyframe", "2.0")
    assert pinned == 'toyframe[fast]==2.0; python_version >= "3.10"'
    assert Requirement(pinned).extras == {"fast"}


def test_a_pin_replaces_an_address() -> None:
    line = "toyframe @ https://example.org/toyframe-1.0-py3-none-any.whl"
    assert pinned_lines((line,), "toyframe", "2.0") == ("toyframe==2.0",)


@given(lines, st.sampled_from(["", "# why\n", "\n\n", "   \n"]), st.sampled_from(["\n", "\r\n"]))
def test_comments_and_blank_lines_change_no_key(
    given_lines: tuple[str, ...], between: str, end: str
) -> None:
    text = "".join(f"{between}  {line}  # because{end}" for line in given_lines)
    read = requirement_lines(text, "file")
    assert wanted(requirements=read).key == wanted(requirements=given_lines).key


@pytest.mark.parametrize(
    "change",
    [
        {"framework": "other"},
        {"device": "gpu"},
        {"python": "3.12"},
        {"requirements": ("toyframe==1.1",)},
        {"requirements": ("toyframe==1.0", "toydep")},
    ],
)
def test_whatever_decides_the_content_decides_the_key(change: dict[str, object]) -> None:
    assert wanted(**change).key != wanted().key


def test_a_version_that_the_file_asks_for_anyway_shares_its_environment() -> None:
    assert wanted(asked_version="1.0").key == wanted().key


def test_the_key_stays_the_same_in_later_versions() -> None:
    """Another one would make every user's environments anew: raise ``_KEY_FORMAT`` on purpose."""
    assert wanted().name == "toy-c3cf1e38f662"


def test_continued_lines_are_one() -> None:
    text = "toyframe==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
    assert requirement_lines(text, "file") == ("toyframe==1.0 --hash=sha256:00 --hash=sha256:11",)


@pytest.mark.parametrize(
    "line",
    ["-r base.txt", "-rbase.txt", "--requirement base.txt", "-c pins.txt", "-e .", "--editable=."],
)
def test_lines_that_lead_elsewhere_are_refused(line: str) -> None:
    with pytest.raises(UsageError, match=r"file\.txt: .* leads to another file"):
        requirement_lines(f"alpha\n{line}\n", "file.txt")


@pytest.mark.parametrize("line", ["./alpha.whl", "alpha=1.0", "alpha==", "two words"])
def test_lines_that_are_no_requirement_are_refused_by_name(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        requirement_lines(f"alpha\n{line}\n", "file.txt")
    assert repr(line) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_begin_alike_are_kept() -> None:
    text = "--require-hashes\n--extra-index-url https://example.org\n"
    assert requirement_lines(text, "file") == tuple(text.split("\n")[:2])
