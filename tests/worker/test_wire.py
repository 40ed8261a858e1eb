from __future__ import annotations

import math

import msgspec
import pytest

from harness.worker.wire import Trained, decode_message, encode

WINDOW = Trained(
    first_step=0,
    steps=1,
    examples=1,
    wall_seconds=1.0,
    cpu_seconds=1.0,
    lead_in_steps=0,
    lead_in_seconds=0.0,
    partial_steps=0,
    partial_seconds=0.0,
    stage_seconds=0.0,
    loss_sum=2.3,
    correct=1,
    trained_examples=1,
    minor_faults=0,
    major_faults=0,
    involuntary_switches=0,
    steal_seconds=0.0,
    load=1.0,
    frequency_mhz=None,
)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["wall_seconds", "cpu_seconds", "stage_seconds", "steal_seconds"])
def test_a_time_that_is_no_number_does_not_reach_the_harness(field: str, value: float) -> None:
    assert decode_message(encode(WINDOW)) == WINDOW
    line = encode(msgspec.structs.replace(WINDOW, **{field: value}))
    with pytest.raises(msgspec.ValidationError, match=field):
        decode_message(line)


def test_a_loss_that_is_no_number_is_none() -> None:
    told = decode_message(encode(msgspec.structs.replace(WINDOW, loss_sum=math.nan)))
    assert isinstance(told, Trained)
    assert told.loss_sum is None
