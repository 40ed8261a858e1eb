"""What a worker says, held against what can be: before anything is made of it.

A worker runs foreign code. Whatever that answers becomes a record that every later reader has to
take, so the bounds are the records' own (``spec/bounds.py``); what one field says of another is
checked here. An answer that is refused is a failure of its cell, and of nothing else.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.files import clause
from harness.spec.events import Evaluation, TrialFinished, Window
from harness.spec.manifest import DatasetUsed
from harness.spec.proof_events import Hashes
from harness.worker.wire import Evaluated, Finished, Message, Proved, Ready, Trained

MOST_EXAMPLES_PER_SECOND = 1e9
"""No machine trains the smallest network that fast: 2.5e15 operations a second for a LeNet."""
LEAST_LOSS = -1e-3
"""Of an example, in nats: a cross-entropy is not negative, its rounding can be."""
MOST_DEVICE_LETTERS = 200
MOST_SETTING_LETTERS = 1_000
MOST_VALUE_BYTES = 16
"""Of a floating-point number, in whatever precision."""
HEADER_BYTES = 2**16
"""Of an array in a file, at most."""

M = TypeVar("M", bound=Message)


def checked(answer: M) -> M:
    """``answer``, which can be true.

    Raises:
        ValueError: it can't; the text says which field, what was got and what was expected.
    """
    bounded = _BOUNDED.get(type(answer))
    if bounded is not None:
        try:
            msgspec.convert(msgspec.to_builtins(answer), bounded)
        except msgspec.ValidationError as error:
            raise ValueError(f"{type(answer).__name__}: {_with_value(error, answer)}") from None
    for kind, check in _CHECKS.items():
        if isinstance(answer, kind):
            problem = check(answer)
            if problem:
                raise ValueError(f"{kind.__name__}: {problem}")
    return answer


def proof_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Name → array of the ``.npz`` that a proof has written: each of ``shapes``, and no other.

    Values that are not finite are left to parity, which is lost by them.

    Raises:
        ValueError: the file is none, or lacks an array, or one has another type or shape.
    """
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as file:
            sizes = {each.filename.removesuffix(".npy"): each.file_size for each in file.filelist}
        with np.load(path, allow_pickle=False) as archive:
            for name in shapes.keys() & sizes.keys():
                most = MOST_VALUE_BYTES * math.prod(shapes[name]) + HEADER_BYTES
                if sizes[name] > most:
                    raise ValueError(f"{name} has {sizes[name]} bytes, expected {most} or less")
                arrays[name] = archive[name]
    except (OSError, EOFError, ValueError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"its arrays can't be read: {clause(error)}") from None
    return checked_arrays(arrays, shapes, sizes.keys() - shapes.keys())


def checked_arrays(
    arrays: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    others: Collection[str] = (),
) -> dict[str, NDArray[Any]]:
    """``arrays``, which are the floating-point arrays that ``shapes`` names, each of its shape.

    ``others``: names of arrays that are there as well.

    Raises:
        ValueError: they are not.
    """
    for name in sorted(others):
        raise ValueError(f"there is an array {clause(name)}, which the model does not have")
    found: dict[str, NDArray[Any]] = {}
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None:
            raise ValueError(f"there is no array {name}, expected one of shape {shape}")
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"{name} is {clause(str(got))}, expected floating-point numbers")
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        found[name] = array
    return found


def _bounded(answer: type, *records: type) -> type:
    """A record with the fields of ``answer``, those that ``records`` have too in their bounds."""
    bounds = {each.name: each.type for one in records for each in msgspec.structs.fields(one)}
    fields = [
        (each.name, bounds.get(each.name, each.type)) for each in msgspec.structs.fields(answer)
    ]
    return msgspec.defstruct(answer.__name__, fields)


_BOUNDED: dict[type, type] = {
    Trained: _bounded(Trained, Window),
    Evaluated: _bounded(Evaluated, Evaluation),
    Finished: _bounded(Finished, TrialFinished),
    Ready: _bounded(Ready, TrialFinished, DatasetUsed),
}


def _with_value(error: msgspec.ValidationError, answer: Message) -> str:
    """``wall_seconds is nan, expected `float` >= 0.0``, from msgspec's own words."""
    said, _, place = str(error).partition(" - at `$.")
    field = re.split(r"[.\[`]", place)[0]
    if not hasattr(answer, field):
        return clause(error)
    return f"{field} is {clause(str(getattr(answer, field)))}, {said[:1].lower()}{said[1:]}"


def _of_training(answer: Trained) -> str | None:
    # Whether the clock moved and all examples were trained is for the audit to judge.
    return _counted(answer.correct, answer.trained_examples) or _lossy(
        answer.loss_sum, answer.trained_examples
    )


def _of_evaluation(answer: Evaluated) -> str | None:
    if answer.examples == 0:
        return "examples is 0, expected those of the test set"
    return (
        _counted(answer.correct, answer.examples)
        or _timed(1, answer.examples, answer.seconds)
        or _lossy(answer.loss_sum, answer.examples)
    )


def _of_proof(answer: Proved) -> str | None:
    if not answer.losses:
        return "it has no losses, expected one for each step"
    wrong = [each for each in answer.losses if each is not None and not math.isfinite(each)]
    if wrong:
        return f"a loss is {wrong[0]}, expected a number, or nothing where it is not finite"
    return _hashed(answer.hashes)


def _of_readiness(answer: Ready) -> str | None:
    for name in ("train_examples", "test_examples"):
        if getattr(answer, name) < 1:
            return f"{name} is {getattr(answer, name)}, expected 1 or more"
    for name in ("device", "result_device"):
        text = getattr(answer, name)
        if len(text) > MOST_DEVICE_LETTERS or not text.isprintable():
            return f"{name} is {clause(text)}, expected the name of a device"
    for text in (*answer.threads, *answer.effects, *answer.effects.values()):
        if len(text) > MOST_SETTING_LETTERS or not text.isprintable():
            return f"it says {clause(text)}, expected the name of a setting, or what was seen of it"
    return _hashed(Hashes(data=answer.data_hash, weights=answer.weights_hash, order=""))


def _counted(correct: int, examples: int) -> str | None:
    if correct > examples:
        return f"correct is {correct} of {examples} examples, expected no more than all"
    return None


def _timed(steps: int, examples: int, seconds: float) -> str | None:
    """Whether a clock that moves has seen ``examples`` in ``steps``."""
    if steps and not seconds:
        return "seconds of the clock are 0, expected a clock that moves"
    if seconds and examples / seconds > MOST_EXAMPLES_PER_SECOND:
        return f"{examples} examples took {seconds:g} s, expected no more than a machine can do"
    return None


def _lossy(loss_sum: float | None, examples: int) -> str | None:
    if loss_sum is not None and loss_sum < LEAST_LOSS * max(1, examples):
        return f"loss_sum is {loss_sum:g}, expected no negative cross-entropy"
    return None


def _hashed(hashes: Hashes) -> str | None:
    """Whether each is a SHA-256, or empty: a loader's order has none."""
    for name, text in msgspec.structs.asdict(hashes).items():
        if not re.fullmatch("([0-9a-f]{64})?", text):
            return f"the hash of {name} is {clause(text)}, expected 64 hexadecimal digits"
    return None


_CHECKS: dict[type, Callable[[Any], str | None]] = {
    Trained: _of_training,
    Evaluated: _of_evaluation,
    Proved: _of_proof,
    Ready: _of_readiness,
}
