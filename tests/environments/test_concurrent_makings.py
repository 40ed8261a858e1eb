"""Two runs at once, and a run that is killed: with real processes, at a known point."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from harness.environments import interpreters
from harness.errors import WorkplaceError
from harness.paths import ROOT

pytestmark = pytest.mark.heavy

_PATIENCE_SECONDS = 120.0
_SYNC = """
import sys
from pathlib import Path
from harness.environments.collection import Environments
from harness.spec.implementations import read_implementation
environments = Environments(Path(sys.argv[1]))
synced = environments.sync(
    read_implementation(Path(sys.argv[2])), progress=lambda line: print(line, flush=True)
)
print("done", synced.folder, flush=True)
"""
_IMPL_TOML = f"""
title = "Toy"
package = "toyframe"
python = ["{sys.version_info[0]}.{sys.version_info[1]}"]
default_mode = "eager"
adam_formula = "epsilon"
momentum_formula = "rate-outside"
memory_mib = 10
[modes]
eager = "as it comes"
"""


@pytest.fixture
def start_sync(tmp_path, environments, make_toy, slow_index):
    """Starts a process that syncs the toy from the slow index and prints its progress."""
    implementation = make_toy(slow_index.requirements)
    (tmp_path / "impls" / "toy" / "impl.toml").write_text(_IMPL_TOML)
    with ExitStack() as stack:

        def start() -> subprocess.Popen[str]:
            command = [sys.executable, "-c", _SYNC, str(environments.root), implementation.folder]
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start
        slow_index.opened.set()


def test_the_second_of_two_runs_waits_and_says_so(start_sync, slow_index, environments) -> None:
    first = start_sync()
    slow_index.wait_for(first)
    second = start_sync()
    assert second.stdout is not None
    waiting = second.stdout.readline()
    (folder,) = (path for path in environments.root.iterdir() if path.is_dir())
    assert waiting.startswith(f"waiting for another run that is making {folder.name}")

    slow_index.opened.set()
    first_lines, _ = first.communicate(timeout=_PATIENCE_SECONDS)
    second_lines, _ = second.communicate(timeout=_PATIENCE_SECONDS)

    assert first.returncode == second.returncode == 0
    assert first_lines.startswith(f"making {folder.name}")
    assert first_lines.splitlines()[-1] == second_lines.splitlines()[-1] == f"done {folder}"
    assert "making toy" not in second_lines.replace("that is making", ""), "made only once"


def test_a_killed_making_is_done_anew_and_its_pip_ends(
    start_sync, slow_index, environments, make_toy
) -> None:
    killed = start_sync()
    slow_index.wait_for(killed)
    pips = psutil.Process(killed.pid).children(recursive=True)
    assert pips, "pip is at work"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    _, alive = psutil.wait_procs(pips, timeout=_PATIENCE_SECONDS)
    assert alive == [], "pip must not go on writing without its parent"

    implementation = make_toy(slow_index.requirements)
    (info,) = environments.listed([implementation])
    assert (info.state, info.reason) == ("broken", "its making was cut off")
    assert environments.find(implementation) is None

    slow_index.opened.set()
    lines: list[str] = []
    synced = environments.sync(implementation, progress=lines.append)
    assert lines[0] == f"removing {info.name}: its making was cut off"
    assert synced.record.version == "1.0"


def test_an_environment_in_use_stays(made, make_toy) -> None:
    """As long as its user lives, however that ends."""
    implementation = make_toy()
    (Path(implementation.folder) / "impl.toml").write_text(_IMPL_TOML)
    program = f"{_SYNC}\nsys.stdin.read()"
    user = subprocess.Popen(
        [sys.executable, "-c", program, str(made.root), implementation.folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with user:
        assert user.stdout is not None
        assert user.stdout.readline().startswith("done ")
        [folder] = [path for path in made.root.iterdir() if path.is_dir()]
        with pytest.raises(WorkplaceError, match="is in use by another run"):
            made.remove(folder.name)
        assert made.find(implementation) is not None
        # Nor is it made anew, where it looks broken to somebody.
        (folder / "bin" / "python").rename(folder / "bin" / "away")
        with pytest.raises(WorkplaceError, match="is in use by another run"):
            made.sync(implementation)
        (folder / "bin" / "away").rename(folder / "bin" / "python")
        assert made.find(implementation) is not None
        user.kill()
    killed = set(made.root.glob("*.use-*"))
    assert killed
    made.sync(implementation)
    assert not killed & set(made.root.glob("*.use-*")), "the next user takes away what it left"
    made.remove(folder.name)
    assert not folder.exists()


def test_an_interpreter_that_is_slow_is_not_a_broken_one(made, make_toy, monkeypatch) -> None:
    monkeypatch.setattr(interpreters, "_PROBE_SECONDS", 0.2)
    [folder] = [path for path in made.root.iterdir() if path.is_dir()]
    python = folder / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\nexec sleep 5\n")
    python.chmod(0o755)
    for ask in (made.sync, made.find):
        with pytest.raises(WorkplaceError, match=r"did not answer within 0.2 s"):
            ask(make_toy())
    [info] = made.listed([make_toy()])
    assert (info.state, "did not answer" in info.reason) == ("broken", True)
    assert (folder / "levelfield.json").exists()


def test_implementations_of_equal_requirements_share_one(made, make_toy) -> None:
    one, other = made.find(make_toy()), made.sync(make_toy(name="another", package="toydep"))
    assert one is not None
    assert other.folder == one.folder
    [info] = made.listed([make_toy(name="another", package="toydep")])
    assert (info.framework, info.current) == ("toy", True)
    assert (other.record.framework, other.record.key) == ("another", one.record.key)
    # The version is that of today's `package`, whatever its maker called so.
    assert (other.record.package, other.record.version) == ("toydep", "1.0")
    with pytest.raises(WorkplaceError, match=r"has no toyother .*mend `package`"):
        made.sync(make_toy(package="toyother"))
    assert len([path for path in made.root.iterdir() if path.is_dir()]) == 1


def test_one_made_before_pip_s_settings_were_kept_serves(made, make_toy, monkeypatch) -> None:
    [folder] = [path for path in made.root.iterdir() if path.is_dir()]
    marker = json.loads((folder / "levelfield.json").read_text())
    del marker["wanted"]["settings"]
    (folder / "levelfield.json").write_text(json.dumps(marker))
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    found = made.find(make_toy())
    assert found is not None and found.folder == str(folder)
