"""Interpreters that are there already, from the command line to a worker's answer."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from harness import paths
from harness.commands import preparation
from harness.commands.catalogue import Catalogue, read_catalogue
from harness.commands.flags import Flags
from harness.commands.pythons import as_recorded, given_pythons, with_pythons
from harness.console import Console
from harness.environments.collection import Environments
from harness.environments.interpreters import find_interpreter
from harness.errors import UsageError, WorkplaceError
from harness.spec.implementations import read_implementation
from harness.spec.machine import Environment
from harness.spec.manifest import Manifest
from harness.spec.selection import GivenPython
from harness.store.runs import read_run
from tests.analysis.golden import stored_run
from tests.environments.by_hand import (
    RUNNING,
    digest,
    packages_of,
    prefix,
    virtual_environment,
    write_script,
)

from .conftest import IMPLEMENTATIONS

PLAIN = "plain_numpy"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, and not below one that has some."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.levelfield.python]\n{text}\n")


def test_paths_are_made_whole_and_not_resolved(here, monkeypatch):
    link = here / "venv" / "bin" / "python"
    link.parent.mkdir(parents=True)
    link.symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(link.parent), prepend=os.pathsep)
    monkeypatch.setenv("HOME", str(here))
    words = ("one=venv/bin/python", "one@new=python", "two=~/venv/bin/python")
    assert given_pythons(words) == (
        GivenPython("one", "", str(link)),
        GivenPython("one", "new", str(link)),
        GivenPython("two", "", str(link)),
    )


def test_a_path_is_one_however_it_is_put(here):
    (here / "one" / "bin").mkdir(parents=True)
    (here / "elsewhere" / "two").mkdir(parents=True)
    (here / "link").symlink_to(here / "elsewhere" / "two")
    [plain, through] = given_pythons(("a=one/../one/bin/python", "b=link/../python"))
    assert plain.path == str(here / "one" / "bin" / "python")
    assert through.path == f"{here}/link/../python", "the folder above where the link leads"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["keras"], "--python is 'keras', expected NAME=PATH or NAME@LABEL=PATH: say which"),
        (["keras="], "--python is 'keras=', expected NAME=PATH"),
        (["=/x"], "--python is '=/x', expected NAME=PATH"),
        (["keras@=/x"], "--python is 'keras@=/x' has the label '', expected up to 40 letters"),
        (["keras@a+b=/x"], "has the label 'a+b', expected up to 40 letters, digits"),
        (["keras@base-1=/x"], "don't begin with base- or handwritten: choose another"),
        (["keras=/x", "keras=/y"], "--python keras is given twice, expected one interpreter"),
        (["keras=no-such-python"], "No no-such-python on PATH for keras, expected an interpreter"),
    ],
)
def test_words_that_give_none(here, words, message):
    with pytest.raises(UsageError) as caught:
        Flags(python=words).selection()
    assert message in str(caught.value)


def pythons(catalogue: Catalogue) -> dict[str, dict[str, str]]:
    return {name: one.pythons for name, one in catalogue.implementations.items() if one.pythons}


def test_the_command_line_goes_before_the_settings(here):
    settings(here, 'keras = "lib/python"\n"pytorch@new" = "/a"\nreference = "/b"')
    catalogue = Flags(python=["keras=/c", "pytorch=/d"]).catalogue()
    assert pythons(catalogue) == {
        "keras": {"": "/c"},
        "pytorch": {"new": "/a", "": "/d"},
        "reference": {"": "/b"},
    }
    assert pythons(with_pythons(read_catalogue()))["keras"] == {"": str(here / "lib" / "python")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keras = 3", r"\[tool.levelfield.python\]: .*mend that setting"),
        ('"keras@a b" = "/x"', r"\[tool.levelfield.python\]: 'keras@a b' = '/x' has the label"),
        ('kears = "/x"', "No implementation 'kears', expected one of .*: did you mean keras"),
    ],
)
def test_a_setting_that_is_none_is_named(here, text, message):
    settings(here, text)
    with pytest.raises(UsageError, match=message) as caught:
        Flags().catalogue()
    assert "\n" not in str(caught.value)


def begun(**changes: str) -> Manifest:
    """A run that measured one of our own, in an environment with ``changes``."""
    record = Environment(
        framework="keras", key="k", python="3.11.7", version="3.0", packages={}, **changes
    )
    return msgspec.structs.replace(stored_run("faster").manifest, environments=(record,))


def test_a_run_goes_on_with_the_interpreters_that_it_began_with(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    settings(here, 'pytorch = "/elsewhere"')
    catalogue = as_recorded(with_pythons(read_catalogue()), begun(interpreter="~/bin/python"))
    assert catalogue.implementations["keras"].interpreter(None) == str(here / "bin" / "python")
    labelled = as_recorded(read_catalogue(), begun(interpreter="/x", asked_version="new"))
    assert labelled.implementations["keras"].pythons == {"new": "/x"}
    assert not pythons(as_recorded(read_catalogue(), begun()))


@pytest.mark.parametrize(
    ("before", "expected"),
    [("/x", "expected /x, as "), ("", "expected none: an environment of our own, as ")],
)
def test_another_interpreter_is_refused_by_its_name(here, before, expected):
    catalogue = Flags(python=["keras=/y"]).catalogue()
    with pytest.raises(UsageError, match="The interpreter given for keras is /y") as caught:
        as_recorded(catalogue, begun(interpreter=before))
    assert expected in str(caught.value)


def test_the_oracle_runs_as_we_do_where_its_environment_cannot_be_made(monkeypatch, capsys):
    def fails(*_: object, **__: object) -> None:
        raise WorkplaceError("No network: mend it")

    monkeypatch.setattr(preparation, "sync_environments", fails)
    oracle = read_implementation(paths.IMPLS / "reference")
    found = preparation.oracle_environment(Console(), oracle)
    assert found.record.framework == "reference"
    said = capsys.readouterr().err
    assert "runs in Levelfield's own Python" in said.replace("\n", " ")
    assert "No network: mend it" in said.replace("\n", " ")
    given = msgspec.structs.replace(oracle, pythons={"": "/x"})
    with pytest.raises(WorkplaceError, match="No network"):
        preparation.oracle_environment(Console(), given)


REFUSED = [
    ("run", "smoke"),
    ("verify",),
    ("reproduce",),
    ("compare", "keras@new", "keras"),
    ("gate", "-f", "keras", "--base-framework", "keras@3.14.0"),
    ("tax",),
    ("micro",),
]


@pytest.mark.heavy
@pytest.mark.parametrize("arguments", REFUSED, ids=lambda arguments: arguments[0])
def test_every_command_that_measures_takes_it_and_refuses_alike(levelfield, tmp_path, arguments):
    label = "@new" if arguments[0] == "compare" else ""
    given = ("--python", f"keras{label}={tmp_path}/no-python")
    done = levelfield(*arguments, "--dataset", "fashion-mnist-20k", *given)
    assert done.returncode == 2
    [*_, line] = done.stderr.splitlines()
    assert "no-python for keras" in line and "there is no such file" in line, done.stderr


@pytest.mark.heavy
def test_one_for_nobody_who_takes_part_is_refused(levelfield):
    done = levelfield("run", "smoke", "-f", "pytorch", "--python", "keras=/x")
    assert done.returncode == 2
    assert "--python keras is for nobody who takes part, expected one for pytorch" in done.stderr


def lend(python: Path, minor: str) -> None:
    """NumPy lies beside ``python``, from the environment of an implementation; no tools do."""
    plain = read_implementation(IMPLEMENTATIONS / PLAIN)
    made = Environments().sync(msgspec.structs.replace(plain, python=(minor,)))
    [source] = Path(made.folder).glob("lib/python*/site-packages")
    for entry in source.glob("numpy*"):
        (packages_of(python) / entry.name).symlink_to(entry)


def verified(levelfield, tmp_path: Path, path: Path, *more: str) -> None:
    """``path`` computes what it should, by the line; nothing near it has changed."""
    before = digest(tmp_path / "theirs")
    done = levelfield(
        "verify", "--impl-dir", str(IMPLEMENTATIONS), "-r", "lenet-sgd", "--mode", "eager",
        "--dataset", "fashion-mnist-20k", "--python", f"{PLAIN}={path}", *more, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "theirs") == before
    [folder] = (tmp_path / "results" / "runs").iterdir()
    assert json.loads(done.stdout)
    [record] = read_run(folder).manifest.environments
    assert record.interpreter == str(path)
    assert "msgspec" not in record.packages


@pytest.mark.frameworks
def test_a_wrapper_that_stays_serves_by_the_settings(levelfield, tmp_path):
    python = virtual_environment(tmp_path / "theirs" / "venv")
    lend(python, RUNNING)
    write_script(tmp_path / "theirs" / "python", f'{python} "$@"', "exit $?")
    (tmp_path / ".git").mkdir()
    settings(tmp_path, f'{PLAIN} = "theirs/python"')
    before = digest(tmp_path / "theirs")
    done = levelfield("show", "lenet", "--impl-dir", str(IMPLEMENTATIONS), "-f", PLAIN, "--json")
    assert done.returncode == 0, done.stderr
    [shown] = json.loads(done.stdout)["frameworks"]
    assert shown["failure"] is None
    assert shown["differences"] == []
    assert digest(tmp_path / "theirs") == before


@pytest.mark.frameworks
def test_a_wrapper_around_another_python_computes(levelfield, tmp_path):
    """The tiny implementation: frameworks have no wheels here for another Python."""
    minor = next(
        (each for each in ("3.12", "3.13", "3.10") if each != RUNNING and find_interpreter(each)),
        None,
    )
    if minor is None:
        pytest.skip("this machine has one version of Python alone")
    base = find_interpreter(minor)
    assert base is not None
    python = virtual_environment(tmp_path / "theirs" / "venv", base.path)
    lend(python, minor)
    wrapper = write_script(tmp_path / "theirs" / "python", "echo loaded", f'exec {python} "$@"')
    verified(levelfield, tmp_path, wrapper)


@pytest.mark.frameworks
def test_a_link_to_a_python_without_pyvenv_computes_for_the_oracle_too(levelfield, tmp_path):
    python = prefix(tmp_path / "theirs" / "conda")
    lend(python, RUNNING)
    link = tmp_path / "theirs" / "python"
    link.symlink_to(python)
    verified(levelfield, tmp_path, link, "--python", f"reference={link}")
