"""A made-up framework in wheels written by hand: real environments, without a network."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.environments.collection import Environments
from harness.spec.implementations import Implementation

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"

MakeImplementation = Callable[..., Implementation]


def write_wheel(folder: Path, name: str, version: str, needs: tuple[str, ...] = ()) -> Path:
    """A wheel of one empty module; https://packaging.python.org/specifications/binary-distribution-format/"""
    metadata = "".join(
        ["Metadata-Version: 2.1\n", f"Name: {name}\n", f"Version: {version}\n"]
        + [f"Requires-Dist: {need}\n" for need in needs]
    )
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    write_wheel(folder, "toyframe", "1.0", needs=("toydep",))
    write_wheel(folder, "toyframe", "2.0", needs=("toydep",))
    write_wheel(folder, "toydep", "1.0")
    write_wheel(folder, "toyframe_cu12", "3.0")
    return folder


@pytest.fixture(scope="session")
def requirements(wheels: Path) -> str:
    """What stands in the made-up framework's requirements file."""
    return f"--no-index\n--find-links {wheels.as_uri()}\ntoyframe==1.0\ntoydep==1.0\n"


@pytest.fixture(autouse=True)
def own_caches(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the developer's own caches is read or written."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seeds = tmp_path_factory.getbasetemp() / "virtualenv"
    monkeypatch.setenv("VIRTUALENV_OVERRIDE_APP_DATA", str(seeds))
    without_pip_settings(monkeypatch)


def without_pip_settings(patch: pytest.MonkeyPatch) -> None:
    """pip is as its makers have it, whatever this machine's variables and files say."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        patch.delenv(name)
    patch.setenv("PIP_CONFIG_FILE", os.devnull)


def toy(folder: Path, requirements: str, **changes: Any) -> Implementation:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements-cpu.txt").write_text(requirements)
    fields: dict[str, Any] = {
        "name": "toy",
        "folder": str(folder),
        "title": "Toy",
        "package": "toyframe",
        "python": (RUNNING,),
        "default_mode": "eager",
        "modes": {"eager": "as it comes"},
        "adam_formula": "epsilon",
        "momentum_formula": "rate-outside",
        "memory_mib": 10,
    }
    return Implementation(**{**fields, **changes})


@pytest.fixture
def make_toy(tmp_path: Path, requirements: str) -> MakeImplementation:
    def make(text: str = requirements, **changes: Any) -> Implementation:
        return toy(tmp_path / "impls" / "toy", text, **changes)

    return make


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "environments")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, requirements: str) -> Path:
    """A folder with the toy's environment, made for the whole session: never to be changed."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        seeds = tmp_path_factory.getbasetemp() / "virtualenv"
        patch.setenv("VIRTUALENV_OVERRIDE_APP_DATA", str(seeds))
        without_pip_settings(patch)
        Environments(root).sync(toy(tmp_path_factory.mktemp("toy"), requirements))
    return root


@pytest.fixture
def made(made_once: Path, tmp_path: Path) -> Environments:
    """Environments with the toy's among them, for one test to break."""
    root = tmp_path / "environments"
    shutil.copytree(made_once, root, symlinks=True)
    return Environments(root)


class SlowIndex:
    """A real package index on this machine that answers nobody until it is opened."""

    def __init__(self, folder: Path) -> None:
        self.asked = threading.Event()
        """Set once pip has asked: it is at work, and now waits."""
        self.opened = threading.Event()
        index = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(folder))

            def do_GET(self) -> None:
                index.asked.set()
                index.opened.wait()
                with contextlib.suppress(OSError):  # who asked may have been killed meanwhile
                    super().do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def wait_for(self, process: subprocess.Popen[str]) -> None:
        """``process`` has come to ask this index."""
        while not self.asked.wait(0.1):
            assert process.poll() is None, "it ended without asking"

    @property
    def requirements(self) -> str:
        address = f"http://127.0.0.1:{self.server.server_address[1]}/"
        return f"--no-index\n--find-links {address}\ntoyframe==1.0\n"

    def close(self) -> None:
        self.opened.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def slow_index(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowIndex]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    index = SlowIndex(wheels)
    yield index
    index.close()
