from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from harness.datasets.idx import read_idx
from harness.errors import DataError
from tests.datasets.small_dataset import idx_bytes

any_array = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, max_side=6))


@given(any_array)
def test_what_was_written_is_read(array: NDArray[np.uint8]) -> None:
    read = read_idx(idx_bytes(array), array.ndim, "it")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@given(any_array, st.data())
def test_every_cut_is_refused(array: NDArray[np.uint8], data: st.DataObject) -> None:
    content = idx_bytes(array)
    end = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DataError, match=r"^it (begins with|ends within its header|is cut short)"):
        read_idx(content[:end], array.ndim, "it")


@given(any_array, st.binary(min_size=1, max_size=9))
def test_every_addition_is_refused(array: NDArray[np.uint8], tail: bytes) -> None:
    with pytest.raises(DataError, match="goes on after its end"):
        read_idx(idx_bytes(array) + tail, array.ndim, "it")


def header(*shape: int, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(shape))) + struct.pack(f">{len(shape)}I", *shape)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "labels begins with nothing, expected 00 00 08 01 (IDX, unsigned bytes, 1"),
        (b"\x1f\x8b\x08\x00", "labels begins with 1f 8b 08 00, expected 00 00 08 01"),
        (header(2, kind=0x0D) + bytes(8), "labels begins with 00 00 0d 01, expected 00 00 08 01"),
        (header(2, 1) + bytes(2), "labels begins with 00 00 08 02, expected 00 00 08 01"),
        (header(7)[:6], "labels ends within its header, after 6 of 8 bytes"),
        (header(7) + bytes(5), "labels is cut short: got 5 bytes of values, expected 7 (7)"),
        (header(2**32 - 1), "labels is cut short: got 0 bytes of values, expected 4294967295"),
    ],
)
def test_the_message_says_what_was_got_and_expected(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_idx(content, 1, "labels")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(": get the file anew")


def test_an_array_is_read_only() -> None:
    assert not read_idx(header(2) + bytes(2), 1, "it").flags.writeable
