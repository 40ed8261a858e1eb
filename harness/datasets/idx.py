"""IDX, the format of MNIST's files.

Two zero bytes, a type, the number of dimensions, each dimension as a big-endian uint32, then the
values, the last dimension running fastest (http://yann.lecun.com/exdb/mnist/, "The IDX file
format").
"""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

UNSIGNED_BYTE = 0x08
"""The one type that image sets use."""


def read_idx(content: bytes, dimensions: int, place: str) -> NDArray[np.uint8]:
    """The array in ``content``, uint8 and read-only, of as many ``dimensions`` as are expected.

    Raises:
        DataError: it is not such a file, is cut short or goes on after its end; ``place`` says
            whose bytes they are.
    """
    magic = bytes((0, 0, UNSIGNED_BYTE, dimensions))
    if content[:4] != magic:
        raise DataError(
            f"{place} begins with {content[:4].hex(' ') or 'nothing'}, expected {magic.hex(' ')} "
            f"(IDX, unsigned bytes, {dimensions} dimensions): get the file anew"
        )
    header_bytes = 4 + 4 * dimensions
    if len(content) < header_bytes:
        raise DataError(
            f"{place} ends within its header, after {len(content)} of {header_bytes} bytes: "
            "get the file anew"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header_bytes])
    expected_bytes = math.prod(shape)
    got_bytes = len(content) - header_bytes
    if got_bytes != expected_bytes:
        fault = "is cut short" if got_bytes < expected_bytes else "goes on after its end"
        raise DataError(
            f"{place} {fault}: got {got_bytes} bytes of values, expected {expected_bytes} "
            f"({' × '.join(map(str, shape))}): get the file anew"
        )
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape)
