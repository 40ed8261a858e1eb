"""A worker sees its own environment and the suite's code, and nothing beside that code."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from harness.execution.process import BOOTSTRAP

PROGRAM = f"""
import importlib.util, sys
from pathlib import Path
root = Path({str(BOOTSTRAP)!r}).parent.parent.parent
# Where the suite is installed to be edited, its folder is on the path of this interpreter.
sys.path[:] = [path for path in sys.path if path and Path(path) != root]
spec = importlib.util.spec_from_file_location("bootstrap", {str(BOOTSTRAP)!r})
bootstrap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bootstrap)
for name in ("impls", "harness"):
    bootstrap.adopt(name, root / name)
import harness.worker.session, impls.adapter
assert Path(harness.worker.session.__file__).is_relative_to(root)
assert str(root) not in sys.path
heavy = {{"pandas", "matplotlib", "scipy", "typer", "rich", "filelock", "pooch", "virtualenv"}}
print(sorted(heavy & sys.modules.keys()))
"""


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_workers_import_the_suite_without_what_lies_beside_it():
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_an_implementation_finds_what_it_shares_beside_it(tmp_path: Path):
    """Under the name that our own has, whatever is called so in this tree."""
    for name, file, text in (
        ("mine", "adapter.py", "from impls.keras.models import M"),
        ("keras", "models.py", "from impls.keras.more import M"),
        ("keras", "more.py", "M = 'shared'"),
    ):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / file).write_text(text)
    program = f"""{PROGRAM}
bootstrap.adopt_implementation({str(tmp_path / "mine")!r}, [{str(tmp_path / "keras")!r}])
import implementation.adapter
print(implementation.adapter.M)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\nshared\n"


def test_a_worker_dies_with_its_harness(tmp_path: Path):
    """Even one that is stopped: killed for real, with SIGKILL, while its worker waits."""
    harness = f"""
import os, subprocess, sys, time, signal
commands, ours = os.pipe()
theirs, messages = os.pipe()
process = subprocess.Popen(
    [sys.executable, "-I", {str(BOOTSTRAP)!r}, str(commands), str(messages)],
    pass_fds=(commands, messages),
)
os.read(theirs, 4096)
os.kill(process.pid, signal.SIGSTOP)
print(process.pid, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", harness], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    deadline = time.monotonic() + 30
    # A busy machine takes a while to stop it.
    while psutil.Process(worker).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    # One that has ended may wait for us: who runs workers adopts orphans.
    while lives(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(worker)
