"""What can come out of a worker's pipe: refused in words, or fit to be recorded."""

from __future__ import annotations

import json

import msgspec
import pytest

from harness.execution.answers import checked
from harness.files import UnreadableFile, decoding
from harness.spec.events import AnyEvent, Evaluation, Window
from harness.worker.wire import Evaluated, Trained, decode_message, encode
from tests.execution.test_answers import EVALUATED, FINISHED, PROVED, READY, TRAINED

from .conftest import drawn
from .mutations import damaged_bytes, damaged_json

ANSWERS = (TRAINED, EVALUATED, PROVED, FINISHED, READY)


@pytest.mark.parametrize("number", range(300))
def test_a_message_is_refused_or_can_be_recorded(number: int) -> None:
    draw = drawn("message", number)
    whole = encode(draw.choice(ANSWERS))
    damage = draw.random() < 0.3
    line = damaged_bytes(draw, whole) if damage else damaged_json(draw, json.loads(whole))
    try:
        with decoding():
            answer = checked(decode_message(line))
    except (UnreadableFile, ValueError) as error:
        assert str(error).isprintable()
        assert 0 < len(str(error)) < 600
        return
    fields = msgspec.structs.asdict(answer)
    event: AnyEvent
    if isinstance(answer, Trained):
        event = Window(
            at=1.0, trial=1, round=0, position=0, waiting_seconds=0.0, waiting_cpu_seconds=0.0,
            control_seconds=0.1, **fields,
        )  # fmt: skip
    elif isinstance(answer, Evaluated):
        event = Evaluation(at=1.0, trial=1, epoch=1, **fields)
    else:
        return
    assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event
