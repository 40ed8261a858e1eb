from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.spec.selection import numbers_in


@given(st.lists(st.lists(st.integers(1, 10**15 - 1), min_size=1)))
def test_numbers_are_read_back_each_once_however_they_are_spread(given):
    texts = [",".join(map(str, part)) for part in given]
    numbers = [number for part in given for number in part]
    assert numbers_in("--threads", texts) == tuple(dict.fromkeys(numbers))


@given(st.text())
def test_any_other_text_is_refused_in_one_line_and_never_read_as_something_else(text):
    try:
        found = numbers_in("--threads", [text])
    except UsageError as error:
        assert str(error).startswith("--threads is ") and "\n" not in str(error)
    else:
        assert found == tuple(dict.fromkeys(int(part) for part in text.split(",")))
        assert min(found) >= 1


@pytest.mark.parametrize(
    "text",
    ["", "0", "00", "-1", "+1", "1,", ",1", "1,,2", "1 2", "1.0", "1e3", "two", "²", "٢", "1_0"],
)
def test_what_is_no_number_from_1_on_is_refused(text):
    with pytest.raises(UsageError, match="expected a whole number from 1 on"):
        numbers_in("--batch-size", ["8", text])
