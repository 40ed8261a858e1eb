"""The workflows and the recipes of docs/ci.md.

What may write runs no code of others, nothing pinned can be moved, what a script makes of the
gate's exit codes is what the documents say, and jobs side by side run every test.
"""

from __future__ import annotations

import configparser
import itertools
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness import paths

WORKFLOWS = sorted((paths.ROOT / ".github" / "workflows").glob("*.yml"))
RECIPES = paths.ROOT / "docs" / "ci.md"
JOB = re.compile(r"^  ([\w-]+):\n((?:    .*\n|\n)+)", re.MULTILINE)


def jobs(text: str) -> dict[str, str]:
    return dict(JOB.findall(text[text.index("\njobs:\n") :] + "\n"))


@pytest.mark.parametrize("path", [*WORKFLOWS, RECIPES], ids=lambda path: path.name)
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
    for name, body in found.items():
        head, _, steps = body.partition("steps:")
        assert "permissions:" in head, name
        if "write" in head:
            assert not re.search(r"checkout|levelfield|cache|tox", steps), name
            for line in re.findall(r".*\bpip .*", steps):
                assert "--require-hashes" in line, name
        else:
            assert "secrets." not in steps, name
            assert "github.token" not in steps, name
        assert steps.count("actions/checkout@") == steps.count("persist-credentials: false"), name
        # What a pull request's author chooses reaches a shell by way of a variable only.
        for script in re.findall(r"run: (?:\|\n((?:          .*\n)+)|(.*))", steps):
            assert "${{" not in "".join(script), name


def test_few_jobs_may_write_and_each_has_its_own_reason():
    allowed = {
        (path.name, name, right)
        for path in WORKFLOWS
        for name, body in jobs(path.read_text(encoding="utf-8")).items()
        for right in re.findall(r"^ +([\w-]+): write$", body.partition("steps:")[0], re.MULTILINE)
    }
    assert allowed == {
        ("regress.yml", "comment", "pull-requests"),
        ("release.yml", "publish", "id-token"),
    }


def test_what_publishes_listens_to_tags_alone():
    text = (paths.ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    _, _, triggers = text.partition("\non:\n")
    assert triggers.partition("\n\n")[0] == '  push:\n    tags: ["v*"]'


def selections() -> dict[str, str]:
    """Environment of tox → by which markers it selects tests."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(paths.ROOT / "tox.ini", encoding="utf-8")
    found = {
        name.removeprefix("testenv:"): re.search(r'-m "([^"]+)"', section.get("commands", ""))
        for name, section in settings.items()
    }
    return {name: selected[1] for name, selected in found.items() if selected}


def test_jobs_side_by_side_leave_no_test_out():
    selected = selections()
    workflow = (paths.ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs_of_tests = ("unit", "heavy", "frameworks", "browser")
    assert {"lint", "coverage", *jobs_of_tests} <= set(
        re.findall(r"run: tox -e ([a-z]+)", workflow)
    )
    assert selected["coverage"] == selected["unit"]
    markers = ("heavy", "frameworks", "slow", "browser", "campaign")
    for these in itertools.product((False, True), repeat=len(markers)):
        given = dict(zip(markers, these, strict=True))
        # pytest's expressions of markers are Python's.
        runs = {name: eval(selected[name], {}, given) for name in selected}
        assert sum(runs[name] for name in jobs_of_tests) == runs["test"], given


def test_before_a_commit_the_same_is_held_as_in_ci():
    settings = (paths.ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert "entry: tox -e lint\n" in settings


def scripts() -> dict[str, str]:
    """The shell scripts that run a gate, as they stand in the example and in the documents."""
    workflow = (paths.ROOT / ".github" / "workflows" / "regress.yml").read_text(encoding="utf-8")
    recipes = RECIPES.read_text(encoding="utf-8")
    [github] = re.findall(
        r"run: \|\n((?:          .*\n)*          levelfield gate.*\n(?:          .*\n)*)", workflow
    )
    [jenkins] = re.findall(r"sh '''\n(.*?)'''", recipes, re.DOTALL)
    return {"github": textwrap.dedent(github), "jenkins": textwrap.dedent(jenkins)}


@pytest.mark.parametrize("name", ["github", "jenkins"])
@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 0), (143, 143)])
def test_scripts_end_as_the_gate_does_and_with_0_where_it_was_too_noisy(
    name: str, code: int, ends: int, tmp_path: Path
) -> None:
    for place, exits in (("bin/levelfield", code), ("bin/git", 0), ("bin/python", 0)):
        program = tmp_path / place
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nexit {exits}\n")
        program.chmod(0o755)
    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "levelfield").symlink_to(tmp_path / "bin" / "levelfield")
    (venv / "pip").symlink_to(tmp_path / "bin" / "git")
    done = subprocess.run(
        ["sh", "-xe", "-c", scripts()[name]],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "WORKSPACE_TMP": str(tmp_path),
            "CHANGE_TARGET": "main",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == ends, done.stderr
    assert ("::warning" in done.stdout) == (name == "github" and code == 4)


def test_the_recipes_use_options_that_there_are() -> None:
    used = re.findall(
        r"levelfield\"? ([a-z]+)((?: [^|\n#]+)?)", RECIPES.read_text(encoding="utf-8")
    )
    asked = {
        (command, option) for command, rest in used for option in re.findall(r"--[a-z-]+", rest)
    }
    assert {("gate", "--base"), ("run", "--threads"), ("check", "--strict")} <= asked
    known: dict[str, str] = {}
    for command in sorted({command for command, _ in asked}):
        known[command] = subprocess.run(
            [sys.executable, "-m", "harness", command, "--help"],
            env={**os.environ, "PYTHONPATH": str(paths.ROOT), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
    for command, option in sorted(asked):
        assert re.search(rf"{option}\b", known[command]), (command, option)
