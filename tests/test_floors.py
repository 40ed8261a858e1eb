"""The rules that hold the tree together, read from the code itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import paths
from harness.spec.implementations import read_implementations

ROOT = paths.ROOT
HARNESS = sorted((ROOT / "harness").rglob("*.py"))
IMPLS = sorted((ROOT / "impls").rglob("*.py"))
FLOORS = [
    "errors", "paths", "texts", "files", "temporary", "spec", "datasets", "environments", "worker",
    "execution", "store", "analysis", "report", "console", "commands", "schemas", "formats", "cli",
    "__main__",
]  # fmt: skip
PURE = ["analysis"]
FRAMEWORKS = [one for one in read_implementations(paths.IMPLS).values() if one.role == "framework"]
DISTRIBUTIONS = {
    "torch", "torchvision", "mxnet", "keras", "tensorflow", "gluon", "pytorch", "jax", "flax",
    "optax",
}  # fmt: skip


def imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the whole name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor(module: str) -> int:
    """Number of the floor of ``harness.<floor>.…``."""
    return FLOORS.index(module.split(".")[1])


@pytest.mark.parametrize("path", HARNESS, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_up(path):
    own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if own == "harness.__init__":
        assert imported(path) == set()
        return
    own_floor = floor(own)
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "harness" and rest.split(".")[0] in FLOORS:
            assert floor(name) <= own_floor, f"{own} imports {name}, which is further down"


@pytest.mark.parametrize("path", IMPLS, ids=lambda path: str(path.relative_to(ROOT)))
def test_implementations_know_nothing_of_the_harness(path):
    assert not {name for name in imported(path) if name.split(".")[0] == "harness"}


@pytest.mark.parametrize("one", FRAMEWORKS, ids=lambda one: one.name)
def test_an_implementation_says_whose_modules_it_shares(one):
    """What it doesn't name would be missing from the digest of its code."""
    known = {one.name, *one.shares}
    folders = [Path(one.folder), *map(Path, one.shared_folders)]
    names = {name for folder in folders for path in folder.rglob("*.py") for name in imported(path)}
    others = {each.name for each in FRAMEWORKS}
    used = {name.split(".")[1] for name in names if name.startswith("impls.")} & others
    assert used <= known
    assert set(one.shares) <= used


@pytest.mark.parametrize("path", HARNESS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_harness_names_no_framework(path):
    words = {*DISTRIBUTIONS, *(word for one in FRAMEWORKS for word in (one.name, one.package))}
    found = re.findall(rf"\b({'|'.join(words)})\b", path.read_text(encoding="utf-8"), re.IGNORECASE)
    assert not found


def test_other_files_of_the_harness_name_no_framework():
    for path in (ROOT / "harness").rglob("*"):
        if path.suffix in {".html", ".css", ".js", ".md", ".j2", ".jinja", ".toml"}:
            text = path.read_text(encoding="utf-8").lower()
            assert not [word for word in DISTRIBUTIONS if word in text], path


@pytest.mark.parametrize("floor_name", PURE)
def test_pure_floors_do_no_input_or_output(floor_name):
    forbidden = {"time", "os", "pathlib", "subprocess", "io", "socket", "random", "datetime"}
    for path in (ROOT / "harness" / floor_name).rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & forbidden, path
        assert "open(" not in path.read_text(encoding="utf-8"), path


def test_only_cli_and_console_print_or_exit():
    allowed = {"cli.py", "console.py", "__main__.py", "formats.py", "bootstrap.py", "micro.py"}
    for path in HARNESS:
        if path.name in allowed and path.parent.name in {"harness", "worker"}:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"print", "sys.exit", "exit", "quit"}, f"{path}: {called}"


def test_the_harness_imports_no_framework():
    """Proven in a process of its own, after importing every module of the harness."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in HARNESS
        if path.name != "__main__.py"
    ]
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "harness" in loaded
    assert not loaded & DISTRIBUTIONS
