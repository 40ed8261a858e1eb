"""Files from mirrors: with time-outs, retries, and no byte fetched twice where it can be helped.

pooch does the transfer. Its own ``retrieve`` starts from nothing after every failure and verifies
the compressed bytes, which differ between distributors, so what lies around the transfer is ours:
a part file that any mirror may continue (HTTP Range), and verification of the decompressed bytes
before the file gets its name.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

import msgspec
import pooch
from urllib3.exceptions import HTTPError

from harness.datasets.files import verified_content
from harness.datasets.records import Progress
from harness.errors import DataError

_CHUNK_BYTES = 2**16
_RANGE_NOT_SATISFIABLE = 416
_TOO_MANY_REQUESTS = 429


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a download may try. Wall seconds of the monotonic clock."""

    connect_seconds: float = 3.0
    """For each network address of a mirror; a name may have several."""
    stall_seconds: float = 15.0
    """A transfer in which no byte came for so long is given up."""
    patient_seconds: float = 60.0
    """How long a transfer may be slower than the slowest."""
    slowest_bytes_per_second: float = 10_000.0
    """A transfer that is slower, from its start on, is given up: it may never end."""
    tries: int = 4
    """How often the mirrors are gone through for one file."""
    backoff_seconds: float = 0.5
    """Pause before the second time; it doubles with each."""
    patience_seconds: float = 30.0
    """After so long without a single byte from anywhere, no further transfer is begun."""


class _Useless(OSError):
    """An answer that can't lead to the file; what it was, in a few words."""


class _Transfer:
    """One request, appending to an open part file. pooch takes it for a progress bar."""

    def __init__(
        self, file: IO[bytes], what: str, progress: Progress, limits: Limits, most: int
    ) -> None:
        self.file, self.what, self.progress = file, what, progress
        self.limits, self.most = limits, most
        self.began_at = time.monotonic()
        self.asked_from = file.seek(0, os.SEEK_END)
        self.offset = self.asked_from
        """Where this answer's bytes begin."""
        self.total = 0
        """Bytes of this response, set by pooch; 0 where the server does not say."""
        self.status = 0
        """Of the answer; 0 where none came."""
        self._response: Any = None

    def run(self, url: str) -> None:
        """All that the server sent is in the file and on the disk.

        Raises:
            OSError: it was not all; what came before stays in the file.
        """
        # Some servers name gzip as the encoding of a file that is gzipped anyway, and would have it
        # unpacked on the way; a range of such a file makes no sense.
        headers = {"Accept-Encoding": "identity"}
        if self.asked_from:
            headers["Range"] = f"bytes={self.asked_from}-"
        download = pooch.HTTPDownloader(
            progressbar=self,
            chunk_size=_CHUNK_BYTES,
            timeout=(self.limits.connect_seconds, self.limits.stall_seconds),
            headers=headers,
            hooks={"response": self._begin},
        )
        try:
            download(url, self.file, None)
        except OSError:
            raise
        except ValueError:
            raise _Useless("its answer makes no sense") from None
        finally:
            if self._response is not None:
                self._response.close()
            self.file.flush()
            os.fsync(self.file.fileno())

    def _begin(self, response: Any, **_: Any) -> None:
        """The file ends where this answer's bytes begin."""
        self._response = response
        self.status = response.status_code
        self.offset = 0
        if self.status == 206:
            told = response.headers.get("Content-Range", "")
            if not told.startswith(f"bytes {self.asked_from}-"):
                raise _Useless("it answered with other bytes than it was asked for")
            self.offset = self.asked_from
        if self.status in (200, 206):
            self.file.truncate(self.offset)
            self.file.seek(self.offset)
            response.iter_content = self._pieces

    def _pieces(self, chunk_size: int) -> Iterator[bytes]:
        """What comes, as it comes: a whole chunk may never be full."""
        raw = self._response.raw
        read = getattr(raw, "read1", raw.read)
        try:
            while piece := read(chunk_size, decode_content=False):
                yield piece
        except HTTPError as error:
            raise OSError(str(error)) from error

    def update(self, _: int) -> None:
        """pooch wrote a piece; what has no end, or takes for ever, is given up."""
        got = self.file.tell() - self.offset
        seconds = time.monotonic() - self.began_at
        if self.file.tell() > self.most:
            raise _Useless("it sent more than the file has")
        least = self.limits.slowest_bytes_per_second * (seconds - self.limits.patient_seconds)
        if got < least:
            raise OSError(f"{got} bytes came in {seconds:.0f} s")
        total = self.offset + self.total if self.total else None
        self.progress.advance(self.what, self.file.tell(), total)

    def reset(self) -> None:
        """pooch is about to fill its bar."""

    def close(self) -> None:
        """pooch is done with its bar."""


class Mirrors:
    """Servers that hold the same files. One that is of no use is not asked again."""

    def __init__(self, addresses: Iterable[str], limits: Limits, progress: Progress) -> None:
        self.useful = list(addresses)
        """In the order in which they are asked."""
        self.failures: dict[str, str] = {}
        """Address → what went wrong there last."""
        self._limits, self._progress = limits, progress
        self._heard_at = time.monotonic()

    def fetch(self, name: str, sha256: str, folder: Path, most: int) -> None:
        """``folder`` holds the file ``name``, whose decompressed bytes have that SHA-256.

        ``most``: bytes that it has at most, compressed or not.

        Raises:
            DataError: no mirror gave it. What came stays in a part file, to be continued.
        """
        target, part = folder / name, folder / f"{name}.part"
        if _holds(target, sha256, most):
            return
        for turn in range(self._limits.tries):
            if turn and self._go_on():
                time.sleep(self._limits.backoff_seconds * 2 ** (turn - 1))
            for address in tuple(self.useful):
                if self._go_on() and self._fetch_from(address, name, part, sha256, most):
                    part.replace(target)
                    self.useful.remove(address)
                    self.useful.insert(0, address)
                    return
        failures = "; ".join(f"{address}: {reason}" for address, reason in self.failures.items())
        raise DataError(f"No mirror gave {name} ({failures}): try again later")

    def _go_on(self) -> bool:
        silence_seconds = time.monotonic() - self._heard_at
        return bool(self.useful) and silence_seconds < self._limits.patience_seconds

    def _fetch_from(self, address: str, name: str, part: Path, sha256: str, most: int) -> bool:
        """Whether the part file is the whole file now; if not, why is noted."""
        for _ in range(2):
            continued = part.exists() and part.stat().st_size > 0
            with part.open("ab") as file:
                transfer = _Transfer(file, name, self._progress, self._limits, most)
                try:
                    transfer.run(urljoin(address, name))
                except _Useless as error:
                    file.truncate(0)
                    self._fail(address, 0, str(error))
                    return False
                except OSError as error:
                    # A part that can't be continued may be whole.
                    if not (continued and transfer.status == _RANGE_NOT_SATISFIABLE):
                        self._fail(address, transfer.status, _reason(error, self._limits))
                        return False
                finally:
                    if transfer.status in (200, 206) and file.tell() > transfer.offset:
                        self._heard_at = time.monotonic()
            if _holds(part, sha256, most):
                return True
            part.unlink()
            if not continued:
                break
            # Mirrors may have compressed the file differently: once more from its start.
        self._fail(address, 0, "it gave other bytes than the file's")
        return False

    def _fail(self, address: str, status: int, reason: str) -> None:
        """The reason is kept; the mirror is asked again only if it answered and may yet deliver."""
        self.failures[address] = reason
        self._progress.note(f"{address}: {reason}")
        if not (200 <= status < 300 or status >= 500 or status == _TOO_MANY_REQUESTS):
            self.useful.remove(address)


def _holds(path: Path, sha256: str, most: int) -> bool:
    try:
        verified_content(path, sha256, most)
    except DataError:
        return False
    return True


def _reason(error: OSError, limits: Limits) -> str:
    """What went wrong, in a few words out of the many that requests has for it."""
    text = str(error)
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    if "Read timed out" in text:
        return f"no byte within {limits.stall_seconds:g} s"
    if "timed out" in text:
        return f"no connection within {limits.connect_seconds:g} s"
    if re.fullmatch(r"\d+ bytes came in \d+ s", text):
        return text
    errno = re.search(r"\[Errno -?\d+\] ([^'\")]+)", text)
    return errno[1] if errno else "the connection broke off"
