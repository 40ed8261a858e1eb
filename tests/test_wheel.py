"""What pip installs: one package, which works beside whatever a user has by our folders' names."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from harness import __version__, paths

pytestmark = pytest.mark.heavy

OWN_FOLDERS = ("harness", "impls", "benchmarks")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return built("wheel:standard", tmp_path_factory.mktemp("wheel"))


def built(kind: str, folder: Path) -> Path:
    pytest.importorskip("hatchling")
    done(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder),
         folder=paths.ROOT)  # fmt: skip
    [made] = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Of an environment with the wheel; what it depends on comes from the tests' own."""
    return environment(tmp_path_factory.mktemp("environment"), wheel)


def environment(folder: Path, wheel: Path) -> Path:
    done(sys.executable, "-m", "venv", "--without-pip", str(folder))
    made = folder / "bin" / "python"
    done(sys.executable, "-m", "pip", "--python", str(made), "install", "--quiet", "--no-deps",
         "--no-index", "--disable-pip-version-check", str(wheel))  # fmt: skip
    [packages] = folder.glob("lib/python*/site-packages")
    libraries = dict.fromkeys(each for each in sys.path if "site-packages" in each)
    libraries |= dict.fromkeys([sysconfig.get_path("purelib")])
    (packages / "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    return made


def done(*command: str, folder: Path | None = None) -> str:
    """Standard output of a command that has ended well."""
    ours = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=folder, env=ours, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def crowded(tmp_path) -> Path:
    """A folder with packages of a user's own, by our folders' names, that fail."""
    for name in OWN_FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(1)", encoding="utf-8")
    return tmp_path


def test_nothing_but_our_package_lies_in_site_packages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "levelfield", f"levelfield-{__version__}.dist-info",
    }  # fmt: skip
    assert "levelfield/py.typed" in names
    packed = {Path(name).relative_to("levelfield") for name in names if "dist-info" not in name}
    for folder in OWN_FOLDERS:
        kept = done("git", "ls-files", folder, folder=paths.ROOT).split()
        assert {Path(each) for each in kept} <= packed


def test_the_command_works_beside_folders_of_our_names(python, crowded):
    command = str(python.with_name("levelfield"))
    assert done(command, "--version", folder=crowded) == f"levelfield {__version__}\n"
    assert "lenet-sgd" in done(command, "list", "recipes", folder=crowded)
    assert "lenet" in done(command, "show", "lenet", folder=crowded)


def test_so_it_does_as_a_module_whose_path_begins_there(python, crowded):
    words = done(str(python), "-m", "levelfield", "--version", folder=crowded)
    assert words == f"levelfield {__version__}\n"


def test_a_worker_finds_its_parts_in_the_installed_package(python, crowded):
    program = (
        "import runpy, sys, pathlib, levelfield\n"
        "root = pathlib.Path(levelfield.__file__).parent\n"
        "adopt = runpy.run_path(str(root / 'harness/worker/bootstrap.py'))['adopt']\n"
        "for name in ('impls', 'harness'): adopt(name, root / name)\n"
        "import harness.worker.session, impls.adapter\n"
        "print(harness.worker.session.__file__)"
    )
    place = done(str(python), "-I", "-c", program, folder=crowded).strip()
    assert place.endswith("site-packages/levelfield/harness/worker/session.py")


def test_an_editable_installation_is_the_clone(tmp_path, crowded):
    made = environment(tmp_path / "editable", built("wheel:editable", tmp_path))
    program = "import levelfield; print(levelfield.__file__)"
    place = done(str(made), "-c", program, folder=crowded).strip()
    assert place == str(paths.ROOT / "levelfield" / "__init__.py")
    command = str(made.with_name("levelfield"))
    assert "lenet-sgd" in done(command, "list", "recipes", folder=crowded)
