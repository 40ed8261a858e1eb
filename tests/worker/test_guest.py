"""A program of ours in an interpreter that is not ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.environments.given import GUEST

PROGRAM = """
import os, subprocess, sys, lent, shared
print(__name__, os.path.basename(__file__), sys.argv[1:])
print(lent.who, shared.who, sys.flags.dont_write_bytecode)
code = "import sys; print(sys.flags.dont_write_bytecode)"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
"""


def test_the_program_runs_as_itself_with_our_folders_last(tmp_path: Path) -> None:
    """What is there already goes before what is lent, and nothing is written beside either."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "shared.py").write_text(f"who = {folder.name!r}\n")
    (second / "lent.py").write_text("who = 'lent'\n")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    behind = os.pathsep.join((str(first), "", str(second)))
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(GUEST), behind, str(program), "one", "two"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "__main__ program.py ['one', 'two']",
        "lent first 1",
        "1",
    ]
    assert not list(tmp_path.rglob("__pycache__"))


def test_nothing_lent_is_nothing_more_on_the_path(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; print('' in sys.path)")
    command = [sys.executable, "-I", "-B", str(GUEST), "", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
