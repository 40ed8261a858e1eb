"""Where this checkout's own files are, and where a user's go."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import platformdirs

from harness.errors import WorkplaceError

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds ``benchmarks/``, ``impls/`` and ``harness/``."""
BENCHMARKS = ROOT / "benchmarks"
IMPLS = ROOT / "impls"


def user_home() -> Path | None:
    """The user's home folder; nothing where there is none, or none that is anybody's own.

    In containers ``HOME`` may be empty, unset for a user without an entry, or the root folder.
    """
    try:
        home = Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None
    # An entry such as /nonexistent is a home by name alone.
    return home if home.is_absolute() and home != Path(home.anchor) and home.is_dir() else None


def settle_home() -> None:
    """``HOME`` names a folder of the user's own; who has none gets one among the temporary files.

    Everything that keeps something in a home (pip, virtualenv, matplotlib, git) then has one.

    Raises:
        WorkplaceError: the folder there belongs to somebody else.
    """
    home = user_home()
    if home is None:
        home = Path(tempfile.gettempdir()) / f"levelfield-{os.getuid()}"
        try:
            home.mkdir(mode=0o700, exist_ok=True)
            # Everybody knows its name, and may have made it to have us run what lies there.
            if home.lstat().st_uid != os.getuid() or home.is_symlink():
                raise PermissionError("it is not yours")
        except OSError as error:
            raise WorkplaceError(
                f"You have no home folder, and {home} can't be used ({error}): name one with HOME"
            ) from None
    os.environ["HOME"] = str(home)


def user_cache() -> Path:
    """The user's cache folder, shared by all clones; ``XDG_CACHE_HOME`` moves it.

    Raises:
        WorkplaceError: there is none.
    """
    settle_home()
    return Path(platformdirs.user_cache_dir("levelfield"))
