"""Starts a worker: run by path, with ``python -I``, by a framework environment's interpreter.

With a script's command line behind the two file descriptors, that script takes this process over,
with them as its standard input and output; nothing of the suite is left in it then.

It makes ``harness`` and ``impls`` importable without putting the folder that holds them on
``sys.path``: where they are installed beside other packages, those (another numpy, say) must stay
invisible to the worker.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def adopt(name: str, folder: Path) -> None:
    """The package in ``folder`` can be imported as ``name``."""
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def adopt_implementation(folder: str, shared: Iterable[str] = ()) -> None:
    """The package in ``folder`` is ``implementation``; each of ``shared``, ``impls.NAME``."""
    for each in map(Path, shared):
        adopt(f"impls.{each.name}", each)
    adopt("implementation", Path(folder))


def die_with_parent() -> None:
    """The kernel kills this process when its parent dies, even while it is stopped by a signal."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Serve the commands of the file descriptors given as arguments; the exit status."""
    die_with_parent()
    commands, messages, *script = sys.argv[1:]
    # So do a loader's processes with their worker, even while the whole group is stopped.
    os.register_at_fork(after_in_child=die_with_parent)
    # The harness interrupts its workers itself; a Ctrl-C at the terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if script:
        # What was set above outlives this: prctl(2), signal(7).
        os.dup2(int(commands), sys.stdin.fileno())
        os.dup2(int(messages), sys.stdout.fileno())
        os.execv(sys.executable, [sys.executable, *script])
    root = Path(__file__).resolve().parent.parent.parent
    for name in ("impls", "harness"):
        adopt(name, root / name)
    from harness.worker.session import serve

    return serve(commands=int(commands), messages=int(messages))


if __name__ == "__main__":
    sys.exit(main())
