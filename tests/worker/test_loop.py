from __future__ import annotations

import hashlib

import numpy as np
import pytest

from harness import paths
from harness.datasets.arrays import Arrays, digest_of_order
from harness.datasets.order import batch_order
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from harness.worker.loop import TrainingLoop, batches, finite
from harness.worker.readings import peak_memory_bytes, read_counters
from harness.worker.session import evaluation_sizes
from harness.worker.wire import Train
from impls.adapter import Setup, Sgd
from impls.reference.adapter import create

EXAMPLES, BATCH = 45, 8


@pytest.fixture
def data() -> Arrays:
    random = np.random.RandomState(3)
    return Arrays(
        random.randint(0, 256, (EXAMPLES, 28, 28)).astype(np.uint8),
        random.randint(0, 10, EXAMPLES).astype(np.uint8),
        random.randint(0, 256, (12, 28, 28)).astype(np.uint8),
        random.randint(0, 10, 12).astype(np.uint8),
    )


@pytest.fixture
def loop(data) -> TrainingLoop:
    model = read_models(paths.BENCHMARKS / "models.toml")["lenet"]
    setup = Setup(
        model=model, optimizer=Sgd(learning_rate=0.1), batch_size=BATCH, mode="eager",
        device="cpu", threads=1,
    )  # fmt: skip
    adapter = create(setup)
    adapter.load_weights(initial_weights(model, "xavier", 0))
    return TrainingLoop(adapter, data, batch_order(0, 2, EXAMPLES), BATCH)


def test_batches_are_canonical(data):
    images, labels = batches(data.train_images, data.train_labels, np.array([[0, 1], [44, 3]]))
    assert images.shape == (2, 2, 1, 28, 28)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    assert images.max() <= 1
    expected = data.train_images[44].astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(images[1, 0, 0], expected)
    assert labels[1, 0] == data.train_labels[44]


def test_an_epoch_trains_each_example_once_in_the_order_given(loop):
    first = loop.window(Train(lead_in=1, steps=2))
    last = loop.window(Train(lead_in=0, steps=2, partial=True))
    assert (first.first_step, first.examples, first.trained_examples) == (0, 16, 24)
    assert (last.first_step, last.partial_steps, last.trained_examples) == (3, 1, 21)
    assert loop.steps == 6
    assert loop.order_hash == digest_of_order(batch_order(0, 2, EXAMPLES)[0])


def test_a_window_that_does_not_fit_starts_the_next_epoch(loop):
    order = batch_order(0, 2, EXAMPLES)
    loop.window(Train(lead_in=0, steps=4))
    loop.window(Train(lead_in=0, steps=2))
    used = np.concatenate([order[0][:32], order[1][:16]])
    assert loop.order_hash == hashlib.sha256(used.astype("<i8").tobytes()).hexdigest()


def test_order_is_wrapped_when_all_epochs_are_used(loop):
    for _ in range(5):
        loop.window(Train(lead_in=0, steps=4))
    assert loop.steps == 20


def test_evaluation_covers_the_test_set_and_leaves_no_trace(loop):
    before = loop.adapter.weights()
    evaluated = loop.evaluate()
    assert evaluated.examples == 12
    assert 0 <= evaluated.correct <= 12
    assert evaluated.step == 0
    after = loop.adapter.weights()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert loop.adapter.take_metrics().examples == 0


def test_losses_of_single_steps_are_those_of_the_window(loop, data):
    assert loop.next_images().shape == (BATCH, 1, 28, 28)
    single = [loop.step_loss() for _ in range(3)]
    assert all(loss is not None and loss > 0 for loss in single)
    assert loop.steps == 3


@pytest.mark.parametrize(
    ("examples", "sizes"), [(10_000, {1000}), (4_500, {1000, 500}), (30, {30})]
)
def test_evaluation_sizes(examples, sizes):
    assert evaluation_sizes(examples) == sizes


def test_what_is_not_finite_is_nothing():
    assert finite(1.5) == 1.5
    assert finite(float("nan")) is None
    assert finite(float("inf")) is None


def test_counters_only_grow():
    first = read_counters()
    _ = [bytes(4096) for _ in range(10_000)]
    second = read_counters()
    assert second.wall_seconds > first.wall_seconds
    assert second.cpu_seconds >= first.cpu_seconds
    assert second.minor_faults >= first.minor_faults
    assert peak_memory_bytes() > 10 * 2**20
