"""No worker measures anything on another device than its cell's, whatever its adapter does."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from harness.execution.block import Block, BlockPlan
from harness.execution.contenders import Contender
from harness.execution.devices import device_inside, require_device
from harness.execution.process import WorkerError
from harness.execution.proof import ProofPlan, take_proof
from harness.spec.events import AnyEvent, BlockFinished, Failure, TrialFinished, Window
from harness.worker.wire import Ready

PLAN = BlockPlan(number=1, group="g", long=False, seed=0, rounds=2, window_steps=2, epochs=2)


def ready(device: str, result_device: str) -> Ready:
    return Ready(
        phases={},
        data_hash="",
        weights_hash="",
        device=device,
        result_device=result_device,
        threads={},
        train_examples=1,
        test_examples=1,
    )


def run_block(folder: Path, contenders: list[Contender]) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    Block(PLAN, contenders, folder, events.append, itertools.count(1)).run()
    return events


@pytest.mark.parametrize(
    ("device", "inside"), [("cpu", "cpu"), ("gpu", "gpu:0"), ("gpu:0", "gpu:0"), ("gpu:3", "gpu:0")]
)
def test_a_worker_calls_the_one_gpu_that_it_sees_the_first(device, inside):
    assert device_inside(device) == inside


@pytest.mark.parametrize(
    ("device", "weights", "results"),
    [
        ("cpu", "cpu", "cpu"),
        ("cpu", "cpu", ""),
        ("gpu", "gpu:0", "gpu:0"),
        ("gpu:1", "gpu:0", "gpu:0"),
    ],
)
def test_weights_and_results_where_they_belong_are_accepted(contender, device, weights, results):
    require_device(contender(device=device).cell, ready(weights, results))


@pytest.mark.parametrize(
    ("device", "weights", "results"),
    [
        ("cpu", "gpu:0", "cpu"),
        ("cpu", "cpu", "gpu:0"),
        ("cpu", "gpu:0", ""),
        ("gpu", "cpu", "cpu"),
        ("gpu", "gpu:0", "cpu"),
        ("gpu", "cpu", "gpu:0"),
        ("gpu", "gpu:0", ""),
        ("gpu", "cpu, gpu:0", "gpu:0"),
        # The worker sees one GPU; a second one would be somebody else's.
        ("gpu:1", "gpu:1", "gpu:1"),
    ],
)
def test_anything_else_is_refused_in_one_line(contender, device, weights, results):
    with pytest.raises(WorkerError) as caught:
        require_device(contender(device=device).cell, ready(weights, results))
    assert caught.value.phase == "device"
    assert "\n" not in caught.value.reason
    assert f"weights on {weights}" in caught.value.reason
    assert f"expected both on {device_inside(device)}" in caught.value.reason


def test_the_line_says_what_to_do(contender):
    with pytest.raises(WorkerError) as caught:
        require_device(contender(device="gpu:1").cell, ready("cpu", ""))
    assert caught.value.reason == (
        "weights on cpu and results on an unknown device, expected both on gpu:0, as a worker "
        "calls gpu:1: see with 'levelfield doctor' what is the matter with reference on this GPU, "
        "or use --device cpu"
    )


@pytest.mark.parametrize("rogue", ["falls_back", "copies_back", "older"])
def test_what_does_not_compute_on_the_gpu_is_not_measured_on_it(contender, tmp_path, rogue):
    events = run_block(tmp_path, [contender(rogue, device="gpu")])
    [failure] = [event for event in events if isinstance(event, Failure)]
    assert failure.phase == "device"
    assert "expected both on gpu:0" in failure.reason
    assert not [event for event in events if isinstance(event, Window | TrialFinished)]
    assert next(e for e in events if isinstance(e, BlockFinished)).trials == ()


@pytest.mark.parametrize("rogue", ["strays", "copies_back"])
def test_what_uses_a_gpu_is_not_measured_on_the_cpu(contender, tmp_path, rogue):
    events = run_block(tmp_path, [contender(rogue), contender()])
    [failure] = [event for event in events if isinstance(event, Failure)]
    assert failure.phase == "device"
    assert "must leave GPUs alone" in failure.reason
    [finished] = [event for event in events if isinstance(event, TrialFinished)]
    assert (finished.device, finished.result_device) == ("cpu", "cpu")
    assert finished.peak_device_memory_bytes is finished.held_device_memory_bytes is None
    assert all(event.gpu is None for event in events if isinstance(event, Window))


def test_an_adapter_from_before_results_were_asked_for_is_measured_on_the_cpu(contender, tmp_path):
    events = run_block(tmp_path, [contender("older")])
    [finished] = [event for event in events if isinstance(event, TrialFinished)]
    assert (finished.device, finished.result_device) == ("cpu", "")


def test_nothing_is_proved_of_another_device_either(contender, tmp_path):
    with pytest.raises(WorkerError, match="expected both on gpu:0"):
        take_proof(contender("falls_back", device="gpu"), ProofPlan(2, 2), tmp_path / "log")
