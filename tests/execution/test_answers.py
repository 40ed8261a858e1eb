"""What a worker can't have seen is refused before it is anything else's trouble."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from harness.execution.answers import checked, checked_arrays, proof_arrays
from harness.spec.events import Window
from harness.spec.proof_events import Hashes
from harness.worker.wire import Evaluated, Finished, Hello, Proved, Ready, Trained

HASHES = Hashes(data="d" * 64, weights="e" * 64, order="f" * 64)
TRAINED = Trained(
    first_step=0, steps=20, examples=5120, wall_seconds=0.5, cpu_seconds=0.9, lead_in_steps=2,
    lead_in_seconds=0.05, partial_steps=0, partial_seconds=0.0, stage_seconds=0.01,
    loss_sum=1e4, correct=100, trained_examples=5632, minor_faults=0, major_faults=0,
    involuntary_switches=1, steal_seconds=0.0, load=1.0, frequency_mhz=None,
)  # fmt: skip
EVALUATED = Evaluated(
    step=22, loss_sum=2e4, correct=1000, examples=10_000, seconds=0.4, stage_seconds=0.1
)
PROVED = Proved(losses=(2.3, None), hashes=HASHES)
FINISHED = Finished(steps=22, order_hash="f" * 64, peak_memory_bytes=2**28)
READY = Ready(
    phases={"import": 1.0}, data_hash="d" * 64, weights_hash="e" * 64, device="cpu", threads={},
    train_examples=60_000, test_examples=10_000, result_device="cpu",
)  # fmt: skip
HONEST = (TRAINED, EVALUATED, PROVED, FINISHED, READY, Hello(pid=1, python="3.11"))


@pytest.mark.parametrize("answer", HONEST, ids=lambda each: type(each).__name__)
def test_what_can_be_true_passes_as_it_is(answer):
    assert checked(answer) is answer


def test_an_answer_that_a_cell_may_give_passes():
    """Losses that are not finite are a matter of parity; steal may run backwards."""
    checked(msgspec.structs.replace(TRAINED, loss_sum=None, steal_seconds=-0.1))
    checked(msgspec.structs.replace(TRAINED, loss_sum=-1e-6, correct=5632, load=900.0))
    checked(msgspec.structs.replace(EVALUATED, loss_sum=1e30, correct=10_000))
    checked(msgspec.structs.replace(FINISHED, order_hash=""))


IMPOSSIBLE = [
    (answer, name, value)
    for answer in (TRAINED, EVALUATED, FINISHED, READY)
    for name, kind in type(answer).__annotations__.items()
    for value in {
        "int": (-1, 2**70, float("nan")),
        "float": (float("nan"), float("inf"), -1e13, "1"),
    }.get(kind, ())
] + [
    (TRAINED, "wall_seconds", -1.0), (TRAINED, "correct", 5633),
    (TRAINED, "loss_sum", float("nan")),
    (TRAINED, "loss_sum", -100.0), (TRAINED, "loss_sum", 1e300),
    (EVALUATED, "examples", 0), (EVALUATED, "correct", 50_000), (EVALUATED, "seconds", 0.0),
    (PROVED, "losses", ()), (PROVED, "losses", (float("inf"),)),
    (PROVED, "hashes", Hashes(data="x", weights="", order="")),
    (READY, "phases", {"import": -1.0}), (READY, "threads", {"openmp": -1}),
    (READY, "device", "x" * 10**6), (READY, "device", "\x1b[2J"), (READY, "data_hash", "D" * 64),
    (READY, "effects", {"OMP_NUM_THREADS": "x" * 10**6}), (READY, "effects", {"\x1b[2J": ""}),
    (READY, "threads", {"x" * 10**6: 2}), (TRAINED, "idle_seconds", float("nan")),
    (READY, "train_examples", 0), (FINISHED, "peak_device_memory_bytes", -1),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "name", "value"), IMPOSSIBLE, ids=lambda part: str(part)[:20])
def test_what_cannot_be_true_is_named(answer, name, value):
    with pytest.raises(ValueError, match=f"^{type(answer).__name__}: ") as caught:
        checked(msgspec.structs.replace(answer, **{name: value}))
    text = str(caught.value)
    assert len(text) < 600
    assert text.isprintable()


def test_the_text_says_field_value_and_what_was_expected():
    with pytest.raises(ValueError, match=r"wall_seconds is -1.0, expected `float` >= 0.0"):
        checked(msgspec.structs.replace(TRAINED, wall_seconds=-1.0))


def test_whatever_passes_can_be_recorded_and_read_back():
    """The bounds are the record's own, so that no field of one is missing in the other."""
    for field in Trained.__struct_fields__:
        assert field in Window.__struct_fields__


SHAPES = {"logits": (8, 10), "weights/a": (3,)}
ARRAYS = {"logits": np.zeros((8, 10), np.float32), "weights/a": np.zeros(3)}


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("logits", np.zeros((8, 12), np.float32), r"shape \(8, 12\), expected \(8, 10\)"),
        ("logits", np.zeros((8, 10), np.int64), "logits is int64, expected floating-point"),
        ("logits", np.zeros((8, 10), complex), "logits is complex128, expected"),
        ("logits", [[0.0] * 10] * 8, "logits is list, expected"),
        ("weights/a", None, "there is no array weights/a"),
    ],
)
def test_arrays_are_what_the_model_says(name, array, said):
    with pytest.raises(ValueError, match=said):
        checked_arrays({**ARRAYS, name: array}, SHAPES)


def test_a_file_of_arrays_is_read_or_refused(tmp_path):
    path = tmp_path / "proof.npz"
    np.savez(path, **{**ARRAYS, "logits": np.full((8, 10), np.nan, np.float16)})
    assert proof_arrays(path, SHAPES)["logits"].dtype == np.float16
    whole = path.read_bytes()
    bad = {
        "torn": whole[: len(whole) // 2],
        "none": b"",
        "no archive": b"\x93NUMPY" + whole,
        "flipped": whole.replace(b"NUMPY", b"NUMPX"),
    }
    for content in bad.values():
        path.write_bytes(content)
        with pytest.raises(ValueError, match="its arrays can't be read"):
            proof_arrays(path, SHAPES)
    np.save(tmp_path / "plain.npy", ARRAYS["logits"])
    with pytest.raises(ValueError, match="its arrays can't be read"):
        proof_arrays(tmp_path / "plain.npy", SHAPES)
    np.savez(path, **{**ARRAYS, "logits": np.array([object()])})
    with pytest.raises(ValueError, match="its arrays can't be read"):
        proof_arrays(path, SHAPES)
    np.savez(path, **{**ARRAYS, "logits": np.zeros(10**6)})
    with pytest.raises(ValueError, match="logits has 8000128 bytes"):
        proof_arrays(path, SHAPES)
    np.savez(path, **ARRAYS, more=np.zeros(1))
    with pytest.raises(ValueError, match="there is an array more"):
        proof_arrays(path, SHAPES)
    with pytest.raises(ValueError, match="its arrays can't be read"):
        proof_arrays(tmp_path / "absent.npz", SHAPES)
