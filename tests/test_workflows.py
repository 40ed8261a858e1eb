"""The example workflows and the recipes of docs/ci.md.

What may write runs no code of others, nothing pinned can be moved, and what a script makes of the
gate's exit codes is what the documents say.
"""

from __future__ import annotations

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
