from __future__ import annotations

from typing import NamedTuple

import pytest

from harness.analysis.outcomes import Accuracy, Proof, Speed, exit_code


class One(NamedTuple):
    speed: Speed = "held"
    accuracy: Accuracy = "held"
    parity: Proof = "proved"


@pytest.mark.parametrize(("cells", "strict", "warned"), [
    ([], 2, 2),
    ([One()], 0, 0),
    ([One("not_compared")], 2, 2),
    ([One("not_compared"), One()], 0, 0),
    ([One("slower")], 1, 0),
    ([One(accuracy="lower")], 1, 0),
    ([One(), One("too_noisy")], 4, 4),
    ([One("too_noisy"), One("failed")], 2, 2),
    ([One("failed"), One("slower")], 1, 2),
    ([One("slower"), One("not_compared", parity="lost")], 3, 3),
])  # fmt: skip
def test_the_worst_that_was_found_decides(cells, strict, warned):
    assert exit_code(cells) == strict
    assert exit_code(cells, strict=False) == warned


def test_what_is_missing_counts_as_failed():
    assert exit_code([One()], incomplete=True) == 2
    assert exit_code([One("too_noisy")], incomplete=True) == 2
    assert exit_code([One("slower")], incomplete=True) == 1
    assert exit_code([One("not_compared", parity="lost")], incomplete=True) == 3
