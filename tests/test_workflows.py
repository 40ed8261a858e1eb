"""The example workflows: what may write runs no code of others, and nothing pinned can be moved."""

from __future__ import annotations

import re

import pytest

from harness import paths

WORKFLOWS = sorted((paths.ROOT / ".github" / "workflows").glob("*.yml"))
JOB = re.compile(r"^  ([\w-]+):\n((?:    .*\n|\n)+)", re.MULTILINE)


def jobs(text: str) -> dict[str, str]:
    return dict(JOB.findall(text[text.index("\njobs:\n") :] + "\n"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path):
    used = re.findall(r"uses: *(\S+)(.*)", path.read_text(encoding="utf-8"))
    assert used
    for action, rest in used:
        assert re.fullmatch(r"[\w/.-]+@[0-9a-f]{40}", action), action
        assert re.match(r" # v\d+\.\d+\.\d+$", rest), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_token_that_may_write_meets_no_code_of_a_pull_request(path):
    text = path.read_text(encoding="utf-8")
    assert "\npermissions: {}\n" in text
    assert "pull_request_target" not in text
    found = jobs(text)
    assert found
    assert any("write" in body.partition("steps:")[0] for body in found.values())
    for name, body in found.items():
        head, _, steps = body.partition("steps:")
        assert "permissions:" in head, name
        if "write" in head:
            assert not re.search(r"checkout|pip |levelfield|cache", steps), name
        else:
            assert "secrets." not in steps, name
            assert "github.token" not in steps, name
        assert steps.count("actions/checkout@") == steps.count("persist-credentials: false"), name
        # What a pull request's author chooses reaches a shell by way of a variable only.
        for script in re.findall(r"run: (?:\|\n((?:          .*\n)+)|(.*))", steps):
            assert "${{" not in "".join(script), name
