from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.environments.interpreters import (
    find_interpreter,
    found_minors,
    installed_packages,
    no_interpreter_error,
    preferred_pythons,
    prove,
)

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"


def write_script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def pretender(path: Path, version: str) -> Path:
    """A program that answers as an interpreter of ``version`` would."""
    answer = f'{{"path": "{path}", "version": "{version}", "usable": true}}'
    return write_script(path, f"echo '{answer}'")


def environ(tmp_path: Path, **changes: str) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin"), **changes}


@given(st.lists(st.sampled_from(["3.10", "3.11", "3.12", "3.13"]), unique=True))
def test_the_running_version_comes_first_if_it_is_listed(listed: list[str]) -> None:
    ordered = preferred_pythons(listed, running=(3, 12))
    assert sorted(ordered) == sorted(listed)
    assert [python for python in ordered if python != "3.12"] == [
        python for python in listed if python != "3.12"
    ]
    if "3.12" in listed:
        assert ordered[0] == "3.12"


def test_the_running_interpreter_serves_its_own_version(tmp_path: Path) -> None:
    found = find_interpreter(RUNNING, environ(tmp_path))
    assert found is not None
    assert (found.path, found.minor) == (sys.executable, RUNNING)


def test_a_shim_gives_the_interpreter_behind_it(tmp_path: Path) -> None:
    shim = write_script(tmp_path / "bin" / "python3", f'exec {sys.executable} "$@"')
    proven = prove(str(shim))
    assert proven is not None
    assert proven.path == sys.executable


def test_a_shim_without_an_interpreter_is_passed_over(tmp_path: Path) -> None:
    write_script(tmp_path / "bin" / "python3.4", "echo 'command not found' >&2; exit 127")
    real = pretender(tmp_path / "later" / "python3.4", "3.4.10")
    path = f"{tmp_path / 'bin'}:{tmp_path / 'later'}"
    found = find_interpreter("3.4", environ(tmp_path, PATH=path))
    assert found is not None
    assert found.path == str(real)


def test_a_name_proves_nothing(tmp_path: Path) -> None:
    pretender(tmp_path / "bin" / "python3.4", "3.5.1")
    assert find_interpreter("3.4", environ(tmp_path)) is None


def test_a_plain_name_serves_if_its_version_does(tmp_path: Path) -> None:
    pretender(tmp_path / "bin" / "python3", "3.4.9")
    found = find_interpreter("3.4", environ(tmp_path))
    assert found is not None and found.version == "3.4.9"


def test_version_managers_are_searched_newest_first(tmp_path: Path) -> None:
    versions = tmp_path / "home" / ".pyenv" / "versions"
    for version in ("3.4.2", "3.4.10", "3.40.1"):
        pretender(versions / version / "bin" / "python", version)
    found = find_interpreter("3.4", environ(tmp_path))
    assert found is not None and found.version == "3.4.10"

    data = tmp_path / "data" / "uv" / "python" / "cpython-3.5.7-linux-x86_64-gnu"
    pretender(data / "bin" / "python3", "3.5.7")
    variables = environ(tmp_path, XDG_DATA_HOME=str(tmp_path / "data"))
    found = find_interpreter("3.5", variables)
    assert found is not None and found.version == "3.5.7"


def test_programs_that_are_no_usable_interpreter_are_not_proven(tmp_path: Path) -> None:
    assert prove(str(tmp_path / "missing")) is None
    assert prove(str(write_script(tmp_path / "silent", "exit 0"))) is None
    assert prove(str(write_script(tmp_path / "chatty", "echo '[1, 2]'"))) is None
    free_threaded = '{"path": "p", "version": "3.13.0", "usable": false}'
    assert prove(str(write_script(tmp_path / "other", f"echo '{free_threaded}'"))) is None


def test_everything_found_is_told_in_order(tmp_path: Path, make_toy) -> None:
    pretender(tmp_path / "bin" / "python3.9", "3.9.1")
    pretender(tmp_path / "bin" / "python3.100", "3.100.0")
    write_script(tmp_path / "bin" / "python3.8", "exit 127")
    variables = environ(tmp_path)
    assert found_minors(variables) == ("3.9", RUNNING, "3.100")
    error = no_interpreter_error(make_toy(python=("3.5",)), ["toy"], variables)
    assert str(error) == f"No Python 3.5 for toy (found 3.9, {RUNNING}, 3.100): install one"


def test_packages_are_named_canonically() -> None:
    installed = installed_packages(Path(sys.executable))
    assert installed is not None
    assert installed.python == ".".join(map(str, sys.version_info[:3]))
    assert "py-cpuinfo" in installed.packages
    assert installed_packages(Path("/nonexistent/python")) is None
