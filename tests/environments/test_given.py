"""Interpreters that are there already: looked at, refused with a reason, left as they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy
import pytest

from harness.environments import collection, given
from harness.environments.collection import Environments
from harness.environments.interpreters import find_interpreter
from harness.errors import WorkplaceError
from harness.spec.implementations import GpuLimits
from tests.environments.by_hand import (
    RUNNING,
    digest,
    lay_in,
    packages_of,
    prefix,
    virtual_environment,
    write_script,
)

pytestmark = pytest.mark.heavy

TOOLS = {"msgspec": "0.19.0", "threadpoolctl": "3.6.0", "psutil": "7.0.0"}
GPU = GpuLimits(
    package="toyframe-cu12", cuda="12.5", least_driver="525", machine_code=("8.0",), memory_mib=1
)
WHOLE = {"toyframe": "2.11.0+cu130", "numpy": "2.1.3", **TOOLS}


def other_minor() -> str | None:
    """A Python that is not the one that runs this, where the machine has one."""
    minors = [f"3.{each}" for each in range(10, 15) if f"3.{each}" != RUNNING]
    return next(filter(find_interpreter, minors), None)


def venv(folder: Path) -> Path:
    return virtual_environment(folder / "made")


def conda(folder: Path) -> Path:
    return prefix(folder / "made")


def link(folder: Path) -> Path:
    """What a link leads to is found by following it, as long as that is no virtual environment."""
    path = folder / "links" / "python3"
    path.parent.mkdir(parents=True)
    path.symlink_to(conda(folder))
    return path


def wrapper(folder: Path) -> Path:
    lines = ("echo 'Loading a module'", f'exec {venv(folder)} "$@"')
    return write_script(folder / "bin" / "with-modules", *lines)


def loose_wrapper(folder: Path) -> Path:
    """One that stays, as the parent of the interpreter."""
    return write_script(folder / "bin" / "loose", f'{venv(folder)} "$@"', "exit $?")


@pytest.mark.parametrize("layout", [venv, conda, link, wrapper, loose_wrapper])
def test_it_is_used_as_it_is(tmp_path, make_toy, layout) -> None:
    path = layout(tmp_path / "theirs")
    lay_in(path, WHOLE)
    before = digest(tmp_path / "theirs")
    ours = Environments(tmp_path / "ours")
    synced = ours.sync(make_toy(pythons={"": str(path)}))
    assert synced.python == str(path), "never resolved"
    assert synced.options == ("-B", str(given.GUEST), "")
    record = synced.record
    assert (record.version, record.package, record.variant) == ("2.11.0+cu130", "toyframe", "")
    assert record.interpreter == str(path)
    assert WHOLE.items() <= record.packages.items()
    assert digest(tmp_path / "theirs") == before
    assert not ours.root.exists(), "it lacks nothing, so nothing is made"
    assert ours.find(make_toy(pythons={"": str(path)})) == synced


def test_a_package_on_its_path_is_its_own(tmp_path, make_toy) -> None:
    """As with an environment below that lends its packages, by a ``.pth`` file."""
    below = virtual_environment(tmp_path / "below")
    lay_in(below, WHOLE)
    path = virtual_environment(tmp_path / "above")
    (packages_of(path) / "below.pth").write_text(f"{packages_of(below)}\n")
    synced = Environments(tmp_path / "ours").sync(make_toy(pythons={"": str(path)}))
    assert synced.record.version == WHOLE["toyframe"]


def test_a_label_sets_two_of_one_framework_apart(tmp_path, make_toy) -> None:
    path = venv(tmp_path)
    lay_in(path, WHOLE)
    toy = make_toy(pythons={"new": str(path)}, variant="base-1a2b")
    record = Environments(tmp_path / "ours").sync(toy, "cpu", "new").record
    assert (record.variant, record.asked_version) == ("base-1a2b-new", "new")


@pytest.fixture
def lent(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder whose requirements are lent: of made-up wheels, so that no network is asked."""
    folder = tmp_path / "worker"
    folder.mkdir()
    text = f"--no-index\n--find-links {wheels.as_uri()}\ntoydep>=1.0\n"
    (folder / "requirements-cpu.txt").write_text(text)
    monkeypatch.setattr(given, "GUEST", folder / "guest.py")
    monkeypatch.setattr(given, "TOOLS_PACKAGE", "toydep")
    return folder


def test_what_it_lacks_is_lent_from_a_folder_of_ours(tmp_path, make_toy, lent) -> None:
    """One for each version of Python, made once and found again, also without an index."""
    path = venv(tmp_path / "theirs")
    lay_in(path, {"toyframe": "1.0", "numpy": "2.1.3"})
    before = digest(tmp_path / "theirs")
    ours = Environments(tmp_path / "ours")
    toy = make_toy(pythons={"": str(path)})
    assert ours.find(toy) is None, "it has to be made first"
    synced = ours.sync(toy)
    [folder] = (each for each in ours.root.iterdir() if each.is_dir())
    assert folder.name.startswith("worker-tools-")
    assert (Path(synced.options[-1]) / "toydep.py").exists()
    assert Path(synced.options[-1]).is_relative_to(folder)
    assert "toydep" not in synced.record.packages, "recorded is what it has itself"
    (lent / "requirements-cpu.txt").touch()
    assert ours.sync(toy) == synced
    assert digest(tmp_path / "theirs") == before


def test_another_python_than_ours_gets_its_own_tools(tmp_path, make_toy, lent) -> None:
    minor = other_minor()
    if minor is None:
        pytest.skip("this machine has one version of Python alone")
    base = find_interpreter(minor)
    assert base is not None
    path = virtual_environment(tmp_path / "theirs", base.path)
    lay_in(path, {"toyframe": "1.0", "numpy": "2.1.3"})
    before = digest(tmp_path / "theirs")
    toy = make_toy(python=(minor,), pythons={"": str(path)})
    synced = Environments(tmp_path / "ours").sync(toy)
    assert synced.record.python == base.version
    assert f"python{minor}" in synced.options[-1]
    assert digest(tmp_path / "theirs") == before


def test_tools_are_made_with_it_where_no_other_python_serves(
    tmp_path, make_toy, lent, monkeypatch
) -> None:
    monkeypatch.setattr(collection, "find_interpreter", lambda minor: None)
    path = conda(tmp_path / "theirs")
    lay_in(path, {"toyframe": "1.0", "numpy": "2.1.3"})
    before = digest(tmp_path / "theirs")
    synced = Environments(tmp_path / "ours").sync(make_toy(pythons={"": str(path)}))
    assert (Path(synced.options[-1]) / "toydep.py").exists()
    assert digest(tmp_path / "theirs") == before


def refusal(tmp_path: Path, toy: object) -> str:
    with pytest.raises(WorkplaceError) as caught:
        Environments(tmp_path / "ours").sync(toy)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (None, "for toy is none (there is no such file), expected CPython with its lock"),
        (("exit 0",), "for toy is none (it did not answer), expected CPython"),
        (("echo '{\"usable\": false}'",), "for toy is none (it did not answer)"),
    ],
)
def test_what_is_no_interpreter_is_refused(tmp_path, make_toy, lines, expected) -> None:
    path = tmp_path / "python"
    if lines is not None:
        write_script(path, *lines)
    assert f"The interpreter {path} {expected}" in refusal(
        tmp_path, make_toy(pythons={"": str(path)})
    )


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ({"numpy": "2.1.3", **TOOLS}, "has no toyframe, expected it among its own packages"),
        ({"toyframe": "1.0", **TOOLS}, "has no numpy, expected it"),
        ({}, "has no toyframe and no numpy, expected it"),
        ({**WHOLE, "msgspec": "0.15.0"}, "has msgspec 0.15.0, expected >=0.19 or none"),
    ],
)
def test_what_it_lacks_is_named(tmp_path, make_toy, packages, expected) -> None:
    path = venv(tmp_path)
    lay_in(path, packages)
    assert expected in refusal(tmp_path, make_toy(pythons={"": str(path)}))


def test_what_its_loader_needs_is_named(tmp_path, make_toy) -> None:
    path = venv(tmp_path)
    lay_in(path, WHOLE)
    toy = make_toy(pythons={"": str(path)})
    (Path(toy.folder) / "requirements-cpu-loader.txt").write_text("toyvision==1.0\n")
    ours = Environments(tmp_path / "ours")
    assert ours.sync(toy).record.version == WHOLE["toyframe"]
    with pytest.raises(WorkplaceError, match="has no toyvision, expected it"):
        ours.sync(toy, loader=True)


def test_a_python_out_of_range_is_refused(tmp_path, make_toy) -> None:
    path = venv(tmp_path)
    lay_in(path, WHOLE)
    said = refusal(tmp_path, make_toy(python=("3.4", "3.30"), pythons={"": str(path)}))
    running = ".".join(map(str, sys.version_info[:3]))
    assert f"is Python {running}, expected one of 3.4, 3.30, which Toy runs on here" in said


def test_a_build_for_another_device_is_the_framework_too(tmp_path, make_toy) -> None:
    """Which distribution our own build for a GPU is says nothing of theirs, nor the reverse."""
    path = venv(tmp_path)
    lay_in(path, {**WHOLE, "toyframe-cu12": "3.0"})
    toy = make_toy(pythons={"": str(path)}, gpu=GPU)
    ours = Environments(tmp_path / "ours")
    assert ours.sync(toy, "cpu").record.package == "toyframe"
    assert ours.sync(toy, "gpu").record.package == "toyframe-cu12"
    other = venv(tmp_path / "other")
    lay_in(other, WHOLE)
    assert (
        ours.sync(make_toy(pythons={"": str(other)}, gpu=GPU), "gpu").record.version
        == (WHOLE["toyframe"])
    )


def test_our_own_interpreter_finds_what_we_find(make_toy) -> None:
    synced = given.own_environment(make_toy(package="numpy"))
    assert synced.python == sys.executable
    assert synced.record.version == numpy.__version__
    assert str(Path(numpy.__file__).parents[1]) in synced.options[-1].split(os.pathsep)
