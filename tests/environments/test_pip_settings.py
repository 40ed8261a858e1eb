"""pip's own settings: real files in pip's own places, real environments made beside them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.environments.pip_settings import deciding, pip_settings, pip_variables
from harness.errors import WorkplaceError

pytestmark = pytest.mark.heavy


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """Writes a user's pip.conf, which is the only file of settings."""
    monkeypatch.delenv("PIP_CONFIG_FILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "nothing"))
    path = tmp_path / "config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True)
    return path.write_text


def values() -> dict[str, str]:
    return {name: each.value for name, each in pip_settings().items() if name != "cert"}


def test_settings_override_each_other_as_in_pip(conf, tmp_path, monkeypatch):
    conf("[global]\nindex-url = https://a\nno_binary = x\n[install]\nindex-url = https://b\n")
    assert values() | {"find-links": "", "extra-index-url": ""} == {
        "index-url": "https://b",
        "no-binary": "x",
        "find-links": "",
        "extra-index-url": "",
    }
    own = tmp_path / "own.conf"
    own.write_text("[global]\nindex-url = https://c\nproxy = p\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(own))
    monkeypatch.setenv("PIP_PROXY", "q")
    seen = pip_settings()
    assert "no-binary" not in seen, "a file that is named takes the place of the user's own"
    assert (seen["index-url"].value, seen["index-url"].origin) == ("https://c", str(own))
    assert (seen["proxy"].value, seen["proxy"].origin) == ("q", "PIP_PROXY")


def test_pip_itself_reads_the_same(conf, monkeypatch):
    conf("[global]\ntimeout = 7\n[install]\nno-binary =\n  one\n  two\nuser = true\n")
    monkeypatch.setenv("PIP_RETRIES", "3")
    command = [sys.executable, "-I", "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name, each in pip_settings().items():
        assert any(line.endswith(f"={each.value!r}") for line in listed.splitlines()), name
    alone = {**os.environ, **pip_variables(pip_settings())}
    again = subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stdout
    assert "user" not in again
    assert ":env:.timeout='7'" in again


ASTRAY = {
    **dict.fromkeys(("target", "prefix", "root", "python", "requirement"), "{tmp}/elsewhere"),
    **dict.fromkeys(("user", "dry-run", "no-deps", "isolated", "require-hashes"), "true"),
}


@pytest.mark.parametrize("place", ["file", "variables"])
def test_what_would_make_something_else_takes_no_effect(
    place, conf, environments, make_toy, tmp_path, monkeypatch
):
    settings = {name: value.format(tmp=tmp_path) for name, value in ASTRAY.items()}
    if place == "file":
        conf("\n".join(("[global]", *(f"{name} = {value}" for name, value in settings.items()))))
    else:
        for name, value in settings.items():
            monkeypatch.setenv(f"PIP_{name.upper().replace('-', '_')}", value)
    record = environments.sync(make_toy()).record
    assert (record.packages["toyframe"], record.packages["toydep"]) == ("1.0", "1.0")
    assert not (tmp_path / "elsewhere").exists()


def test_a_constraint_s_text_makes_another_environment(
    environments, make_toy, wheels, tmp_path, monkeypatch
):
    implementation = make_toy(f"--no-index\n--find-links {wheels.as_uri()}\ntoyframe\n")
    newest = environments.sync(implementation)
    assert newest.record.version == "2.0"
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("-r more.txt\n")
    (tmp_path / "more.txt").write_text("toyframe<2\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(constraint))
    older = environments.sync(implementation)
    assert older.record.version == "1.0"
    (tmp_path / "more.txt").write_text("toyframe<9\n")
    assert environments.sync(implementation).record.version == "2.0"
    monkeypatch.delenv("PIP_CONSTRAINT")
    assert environments.sync(implementation) == newest


def test_who_is_wrong_is_named(environments, make_toy, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "none.txt"))
    with pytest.raises(WorkplaceError, match=r"constraint, made by PIP_CONSTRAINT, names .*none"):
        environments.sync(make_toy())
    (tmp_path / "none.txt").write_text("toyframe==2.0\n")
    with pytest.raises(WorkplaceError, match=r"or pip's own settings here: constraint \(PIP_CON"):
        environments.sync(make_toy())


def test_a_file_that_is_none_is_named(conf):
    conf("index-url = https://a\n")
    with pytest.raises(WorkplaceError, match=r"can't be read \(File contains no section.*pip.conf"):
        pip_settings()


def test_another_index_is_another_environment_whoever_asks_it(monkeypatch):
    said = set()
    for address in ("https://me:1@index/simple", "https://me:2@index/simple", "https://other"):
        monkeypatch.setenv("PIP_INDEX_URL", address)
        said.add(deciding(pip_settings()))
    assert said == {("index-url: https://index/simple",), ("index-url: https://other",)}
