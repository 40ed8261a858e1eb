"""Making one virtual environment: virtualenv makes the folder, the pip inside fills it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from harness.environments.interpreters import Interpreter
from harness.environments.pip_settings import CHOICES, pip_settings, pip_variables
from harness.environments.records import Progress
from harness.environments.requirements import Wanted
from harness.errors import WorkplaceError
from harness.temporary import temporary_folder

_GUARDED_PIP = """
import os, runpy, sys, threading
def end_with_parent():
    os.read(0, 1)
    os._exit(1)
threading.Thread(target=end_with_parent, daemon=True).start()
sys.argv = ["pip", *sys.argv[1:]]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""pip that ends when its standard input closes: killed with its parent, it can't go on writing
into a folder that the next run is making anew."""
_PIP_INSTALL = ("install", "--no-input", "--progress-bar", "off", "--disable-pip-version-check")
_UNREACHABLE = re.compile(
    "Failed to establish a new connection|Temporary failure in name resolution|Connection refused"
    "|Network is unreachable|NewConnectionError|ConnectTimeoutError|ReadTimeoutError"
)
_FILE_LINE = re.compile(r"-r .*?requirements\.txt \(line (\d+)\)")


def python_of(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``, not resolved."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def site_packages(folder: Path, python: str) -> Path:
    """Where the environment in ``folder``, of Python ``major.minor``, has what pip installs."""
    scheme = "nt" if sys.platform == "win32" else "posix_prefix"
    names = {"base": str(folder), "platbase": str(folder), "py_version_short": python}
    # Debian's own scheme has another folder, which no virtual environment has.
    return Path(sysconfig.get_path("purelib", scheme, vars=names))


def log_path(folder: Path) -> Path:
    """Where pip's output for ``folder`` goes: beside it, so that it outlives a failed making."""
    return folder.with_name(f"{folder.name}.log")


def told_last(folder: Path) -> str:
    """What the making of ``folder`` is at, by its log; empty if that can't be said."""
    try:
        lines = log_path(folder).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    told = [line for line in map(pip_progress, lines) if line]
    return told[-1] if told else ""


def make_virtual_environment(folder: Path, interpreter: Interpreter) -> None:
    """``folder`` holds a virtual environment with pip and nothing else.

    Raises:
        WorkplaceError: virtualenv could not make it.
    """
    import virtualenv  # takes a tenth of a second, and hardly a run makes an environment

    arguments = [
        *("--python", interpreter.path),
        # What is made depends on nothing that is fetched behind our back, now or later.
        *("--no-download", "--no-periodic-update"),
        str(folder),
    ]
    try:
        virtualenv.cli_run(arguments, setup_logging=False, env=_own_environ(os.environ))
    except (Exception, SystemExit) as error:
        raise WorkplaceError(
            f"virtualenv could not make {folder} with {interpreter.path} "
            f"({_one_line(str(error))}): see that the disk has room and that this Python is whole"
        ) from error


def install_requirements(folder: Path, wanted: Wanted, progress: Progress) -> None:
    """Everything that ``wanted`` asks for is installed in ``folder``; pip's output is in its log.

    Raises:
        WorkplaceError: pip failed; the text holds its own last error.
    """
    path = folder / "requirements.txt"
    path.write_text("".join(f"{line}\n" for line in wanted.lines), encoding="utf-8")
    # -B: what an environment's own Python is linked to is not ours to write in.
    command = [
        str(python_of(folder)),
        "-I",
        "-B",
        "-c",
        _GUARDED_PIP,
        *_PIP_INSTALL,
        "-r",
        str(path),
    ]
    lines: list[str] = []
    log = log_path(folder)
    stack = ExitStack()
    # Gigabytes, which a kill would leave where nobody looks for them.
    scratch = stack.enter_context(temporary_folder("pip"))
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={
            **_own_environ(os.environ),
            **pip_variables(pip_settings()),
            "TMPDIR": str(scratch),
        },
    )
    with stack, process, log.open("w", encoding="utf-8") as file:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                file.flush()
                lines.append(line.strip())
                told = pip_progress(lines[-1])
                if told:
                    progress(told)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _pip_error(wanted, lines, process.returncode, log)


def pip_progress(line: str) -> str | None:
    """What to tell the user when pip prints ``line``; nothing for the lines that don't matter."""
    match line.split():
        case ["Collecting", what, *_]:
            return f"collecting {_distribution(what)}"
        case ["Processing", what, *_]:
            return f"unpacking {_distribution(what.rsplit('/', 1)[-1])}"
        case ["Downloading", what, *size] if ".metadata" not in what:
            return " ".join(["downloading", _distribution(what.rsplit("/", 1)[-1]), *size])
        case ["Building", "wheel", "for", what, *_]:
            return f"building {_distribution(what)}"
        case ["Installing", "collected", "packages:", *names]:
            return f"installing {len(names)} package{'s' if len(names) != 1 else ''}"
        case ["WARNING:", "Retrying", *_]:
            return "the package index does not answer, trying again"
    return None


def last_pip_error(lines: Sequence[str]) -> str:
    """The line of pip's output that says best why it failed."""
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    # This one only points to pip's manual; what is in conflict stands in the line before it.
    telling = [error for error in errors if not error.startswith("ResolutionImpossible")]
    spoken = [line for line in lines if line]
    return (telling or errors or spoken or ["nothing"])[-1]


def spelled_out(said: str, requirements: Sequence[str]) -> str:
    """``said`` with the requirement itself where pip names a line of a file that is gone by now."""
    return _FILE_LINE.sub(lambda match: requirements[int(match[1]) - 1], said)


def _pip_error(wanted: Wanted, lines: Sequence[str], exit_code: int, log: Path) -> WorkplaceError:
    said = spelled_out(last_pip_error(lines), wanted.lines)
    if exit_code < 0:
        said = f"ended by signal {-exit_code}, the last line was: {said}"
    if "No space left on device" in said:
        advice = f"free some space in {log.parent} or move the cache with XDG_CACHE_HOME"
    elif _is_unreachable(said, lines):
        advice = "the package index could not be reached: mend the network or pip's own settings"
    elif wanted.asked_version:
        advice = (
            f"ask for a version of {wanted.package} that exists and suits Python {wanted.python} "
            f"and the other lines of {_sources(wanted)}"
        )
    else:
        advice = f"mend {_sources(wanted)}"
    return WorkplaceError(
        f"The environment of {wanted.framework} could not be made: pip said "
        f"«{_one_line(said)}» (all of its output: {log}): {advice}, then try again"
    )


def _sources(wanted: Wanted) -> str:
    """All that says which packages come: any of it may be what is wrong."""
    file = f"{wanted.framework}'s requirements-{wanted.device}.txt"
    own = [f"{name} ({each.origin})" for name, each in pip_settings().items() if name in CHOICES]
    return f"{file}, or pip's own settings here: {', '.join(own)}" if own else file


def _is_unreachable(said: str, lines: Sequence[str]) -> bool:
    """Whether no index answered; pip then says that the distribution doesn't exist."""
    blamed = said.startswith("No matching distribution") and any(map(_UNREACHABLE.search, lines))
    return blamed or _UNREACHABLE.search(said) is not None


def _own_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without what would put anything into, or take it out of, the environment.

    virtualenv reads no file of settings; what pip follows is set beside this.
    """
    kept = "VIRTUALENV_OVERRIDE_APP_DATA"
    own = {
        name: value
        for name, value in environ.items()
        if name == kept or not name.startswith(("PYTHON", "VIRTUALENV_", "__PYVENV", "PIP_"))
    }
    return {**own, "VIRTUALENV_CONFIG_FILE": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}


def _distribution(what: str) -> str:
    """``six`` of ``six==1.17``, ``six-1.17-py3-none-any.whl`` or ``six[extra]>=1``."""
    return re.split(r"[\[<>=!~; (@]|-\d", what, maxsplit=1)[0]


def _one_line(text: str) -> str:
    return " ".join(text.split())
