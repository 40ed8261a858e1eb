"""Starts a program of ours in an interpreter that is not ours: ``python -I -B …/guest.py BEHIND
PROGRAM…``, by path.

``BEHIND`` names folders, separated as in ``PATH``, that go behind everything on ``sys.path``: what
the interpreter brings along is found first, whatever its version. Nothing is written beside what
is imported, by this process or by those that it starts.
"""

from __future__ import annotations

import os
import runpy
import sys


def main() -> None:
    """Become the program, with its own arguments."""
    sys.path += [folder for folder in sys.argv[1].split(os.pathsep) if folder]
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    del sys.argv[:2]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
