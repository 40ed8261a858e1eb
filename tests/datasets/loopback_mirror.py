"""A mirror on the loopback that misbehaves to order."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, NamedTuple


class Fault(NamedTuple):
    kind: Literal["status", "truncate", "stall", "corrupt", "endless", "drip", "range", "length"]
    value: int
    """The status; or how many bytes of the answer's body are sent; or which byte is wrong; or how
    many bytes come a second, without end; or where the bytes are said to begin."""


class Mirror:
    def __init__(self, files: Mapping[str, bytes], *, ranges: bool = True) -> None:
        self.files = files
        self.ranges = ranges
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        """File → faults of its coming requests, one each; then it is served well."""
        self.requests: list[tuple[str, str | None]] = []
        """File and ``Range`` header of each."""
        self.poured = 0
        """Bytes of answers without end that were sent."""
        self.open = threading.Event()
        """No request is answered before it is set."""
        self.open.set()
        self.closing = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}/some/folder/"

    def ranges_asked(self, name: str) -> list[str | None]:
        return [asked for file, asked in self.requests if file == name]

    @contextmanager
    def running(self) -> Iterator[Mirror]:
        thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.open.set()
            self.closing.set()
            self.server.shutdown()
            thread.join()
            self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name, asked = request.path.rpartition("/")[2], request.headers["Range"]
        self.requests.append((name, asked))
        self.open.wait()
        fault = self.faults[name].pop(0) if self.faults[name] else None
        if fault is not None and fault.kind == "status":
            request.send_error(fault.value)
            return
        if fault is not None and fault.kind in ("endless", "drip"):
            self._pour(request, fault)
            return
        if name not in self.files:
            request.send_error(404)
            return
        content = self.files[name]
        start = re.fullmatch(r"bytes=(\d+)-", asked) if asked and self.ranges else None
        offset = int(start[1]) if start else 0
        if offset and offset >= len(content):
            request.send_error(416)
            return
        body = bytearray(content[offset:])
        if fault is not None and fault.kind == "corrupt":
            body[fault.value] ^= 0xFF
        lies = fault is not None and fault.kind == "range"
        request.send_response(206 if start or lies else 200)
        if fault is not None and fault.kind == "length":
            request.send_header("Content-Length", "many")
        else:
            request.send_header("Content-Length", str(len(body)))
        if fault is not None and lies:
            last = fault.value + len(body) - 1
            request.send_header("Content-Range", f"bytes {fault.value}-{last}/{last + 1}")
        elif start:
            request.send_header(
                "Content-Range", f"bytes {offset}-{len(content) - 1}/{len(content)}"
            )
        request.end_headers()
        short = fault is not None and fault.kind in ("truncate", "stall")
        try:
            request.wfile.write(body[: fault.value] if fault is not None and short else body)
        except OSError:  # The client gave up.
            return
        if fault is not None and fault.kind == "stall":
            request.wfile.flush()
            self.closing.wait()

    def _pour(self, request: BaseHTTPRequestHandler, fault: Fault) -> None:
        """Bytes that never end, all at once or ``fault.value`` each second."""
        request.send_response(200)
        request.end_headers()
        try:
            while not self.closing.wait(0.05 if fault.kind == "drip" else 0):
                size = 2**16 if fault.kind == "endless" else max(1, fault.value // 20)
                request.wfile.write(bytes(size))
                self.poured += size
        except OSError:  # The client gave up.
            return


MakeMirror = Callable[..., Mirror]
"""Files, and ``ranges``, in; a running mirror out."""
