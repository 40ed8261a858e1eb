"""``levelfield …``: parses, dispatches, maps what happened to an exit code.

Exit codes: 0 clean; 2 usage, environment, data or cell failure; 3 parity failed; 130 interrupted.
1, worse than limits allow, and 4, too noisy to judge, belong to the commands that have limits. What
a command alone needs is imported when it runs: a page of help waits for no library that draws.
"""

from __future__ import annotations

from typer.exceptions import TyperException

# In the order of the page of help: each registers its commands.
from harness.cli import making, measuring, stored  # noqa: F401
from harness.cli.app import app
from harness.console import Console
from harness.errors import LevelfieldError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it (128 + SIGINT)."""


def main() -> int:
    """The command line has been run; its exit code.

    What is neither an answer nor a mistake that users can mend is raised, for ``levelfield`` (see
    there) to end with.
    """
    console = Console()
    status = 2
    try:
        status = app(standalone_mode=False) or 0
    except LevelfieldError as error:
        console.fail(str(error))
    except TyperException as error:
        told = " ".join(error.format_message().split()).rstrip(".")
        console.fail(f"{told}: 'levelfield --help' shows what there is")
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        told = error.strerror or type(error).__name__
        console.fail(f"{where}{told}: make room there, or name another place")
    if status == INTERRUPTED:
        console.fail(
            "Interrupted. What was measured is kept: 'levelfield list runs' shows it, "
            "the same command with '--resume RUN' goes on"
        )
    return status
