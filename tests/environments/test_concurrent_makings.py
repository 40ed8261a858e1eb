"""Two runs at once, and a run that is killed: with real processes, at a known point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import psutil
import pytest

from harness.paths import ROOT

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
