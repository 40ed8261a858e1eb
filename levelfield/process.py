"""The process of the command ``levelfield``, from its first moment to its last.

Every end of that process is decided here. 1 and 4 are answers, which only a command gives, by
returning them; whatever else happens is one line and 2, or 130 for Ctrl-C. Nothing is imported at
the top that takes time or could fail: a process that is interrupted, or whose installation is
broken, comes to its end here too.
"""

from __future__ import annotations

import errno
import io
import os
import sys

from levelfield.ours import HERE, Finder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import NoReturn

FAILED = 2
INTERRUPTED = 130
"""After Ctrl-C, as shells have it (128 + SIGINT)."""
NOBODY_READS = (errno.EPIPE, errno.EBADF, errno.EIO, errno.ECONNRESET)
"""What writing to a pipe, file descriptor, terminal or socket ends with that has no other end."""


def main() -> NoReturn:
    """The process has come to its end, with the exit code of what it was asked for."""
    sys.exit(_Command().run())


class _Outlet(io.FileIO):
    """A standard stream that takes everything, whether or not somebody still reads it."""

    fault: OSError | None = None

    def write(self, data: bytes) -> int:  # type: ignore[override]
        while self.fault is None:
            try:
                written = super().write(data)
            except OSError as fault:
                self.fault = fault
                break
            if written is not None:
                return written
            # Whoever shares the pipe has made it answer "later" instead of waiting.
            os.set_blocking(self.fileno(), True)
        return len(data)


class _Command:
    """What is asked for, between its first moment and its last."""

    def __init__(self) -> None:
        self._signal = 0
        """The signal that asked for an end; 0 for none."""
        self._begun = False
        self._outlets: dict[str, _Outlet] = {}
        self._streams: list[io.TextIOWrapper] = []

    def run(self) -> int:
        """The exit code; nothing is raised."""
        try:
            self._own_streams()
            self._own_signals()
            self._own_surroundings()
            from harness.cli import main as answer

            self._begun = True
            status = answer()
            self._release_signals()
        except BaseException as error:
            self._release_signals()
            status = self._status_of(error)
        if status == INTERRUPTED and self._signal:
            status = 128 + self._signal
        return self._delivered(status)

    def _own_streams(self) -> None:
        """Standard streams are open, and writing to them never fails."""
        for descriptor in (0, 1, 2):
            try:
                os.fstat(descriptor)
            except OSError:
                # Else the next file that is opened, a run's own record perhaps, would be printed
                # to, or read by a child. What is opened gets the lowest number that is free.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if sys.stdin is None:
            sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            stream = getattr(sys, name)
            self._outlets[name] = outlet = _Outlet(descriptor, "wb", closefd=False)
            fresh = io.TextIOWrapper(
                io.BufferedWriter(outlet),  # type: ignore[type-var]
                # What an encoding has no letter for is worth a question mark, and no error.
                encoding=getattr(stream, "encoding", None) or "utf-8",
                errors="replace",
                line_buffering=True,
            )
            self._streams.append(fresh)
            setattr(sys, name, fresh)
            setattr(sys, f"__{name}__", fresh)

    def _own_signals(self) -> None:
        """Ctrl-C, and a polite end from elsewhere, stop what is going on as an exception does."""
        import signal

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        if not self._begun:
            # The import system would lose an exception now and then, or wrap it in another.
            _say("Interrupted before anything began.")
            os._exit(128 + number)
        raise KeyboardInterrupt

    def _release_signals(self) -> None:
        """From here on a signal ends the process at once, and without a word."""
        import signal

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == self._interrupt:
                signal.signal(number, signal.SIG_DFL)

    def _own_surroundings(self) -> None:
        """What is meant for other programs here changes nothing."""
        sys.meta_path.insert(0, Finder)
        # A notebook's back end, which is installed nowhere else; pictures are drawn without one.
        os.environ.pop("MPLBACKEND", None)
        if sys.warnoptions:
            import warnings

            # Of libraries, about themselves: nobody who measures can mend these.
            warnings.simplefilter("ignore")

    def _status_of(self, error: BaseException) -> int:
        """What ``error`` ends the process with, and why stands on standard error."""
        if self._signal or isinstance(error, KeyboardInterrupt):
            _say("Interrupted.")
            return INTERRUPTED
        if isinstance(error, SystemExit) and not error.code:
            return 0
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        where = _places(error.__traceback__)
        if isinstance(error, ImportError):
            _say(
                f"{what} ({where}): a part of levelfield can't be loaded, expected its whole "
                "installation: look what PYTHONPATH puts in its way, or install it again"
            )
        elif isinstance(error, MemoryError):
            _say(f"Out of memory ({where}): end other programs, or measure less at once")
        else:
            _say(f"This is a mistake of levelfield's own: {what} ({where}): please report it")
        return FAILED

    def _delivered(self, status: int) -> int:
        """``status``, unless it is 0 and what there was to read could not be written."""
        for stream in self._streams:
            if not stream.closed:
                stream.flush()
        outlet = self._outlets.get("stdout")
        fault = outlet.fault if outlet else None
        if fault is None or fault.errno in NOBODY_READS:
            return status
        _say(
            f"Standard output can't be written ({fault.strerror}), expected room for all of it: "
            "make room, or send it elsewhere"
        )
        return status or FAILED


def _say(text: str) -> None:
    """One line on standard error, of characters that a terminal shows."""
    line = "".join(each if each.isprintable() else " " for each in text)
    if sys.stderr is not None and not sys.stderr.closed:
        sys.stderr.write(f"levelfield: {line}\n")
        sys.stderr.flush()


def _places(traceback: TracebackType | None) -> str:
    """``cli.py:88, run.py:120``: where in our own code, from the outside in."""
    found = []
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if name.startswith(HERE + os.sep) and name != __file__:
            found.append(f"{name.rpartition(os.sep)[2]}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return ", ".join(found) or "before it began"
