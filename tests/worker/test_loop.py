from __future__ import annotations

import hashlib
import itertools

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
from impls.reference.adapter import ReferenceAdapter, create

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
def setup() -> Setup:
    model = read_models(paths.BENCHMARKS / "models.toml")["lenet"]
    return Setup(
        model=model, optimizer=Sgd(learning_rate=0.1), batch_size=BATCH, mode="eager",
        device="cpu", threads=1,
    )  # fmt: skip


@pytest.fixture
def weights(setup):
    return initial_weights(setup.model, "xavier", 0)


@pytest.fixture
def loop(data, setup, weights) -> TrainingLoop:
    adapter = create(setup)
    adapter.load_weights(weights)
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


class Loading(ReferenceAdapter):
    """The oracle with a loader that brings the examples in their own order."""

    def open_loader(self, images, labels, workers):
        self.ranges = itertools.cycle(
            slice(start, start + BATCH) for start in range(0, len(labels), BATCH)
        )
        self.images, self.labels = images, labels

    def train_from_loader(self, steps):
        for chosen in itertools.islice(self.ranges, steps):
            pixels, labels = self.images[chosen], self.labels[chosen]
            self.train(self.stage(*batches(pixels, labels, np.arange(len(labels))[np.newaxis])))


def test_a_loaders_window_counts_what_the_loader_brought(data, setup, weights):
    adapter = Loading(setup)
    adapter.load_weights(weights)
    adapter.open_loader(data.train_images, data.train_labels, 0)
    loop = TrainingLoop(adapter, data, batch_order(0, 2, EXAMPLES), BATCH, loading=True)
    first = loop.window(Train(lead_in=2, steps=2))
    # The second window holds the partial batch of 5 that ends the epoch.
    second = loop.window(Train(lead_in=1, steps=2))
    assert (first.first_step, first.examples, first.trained_examples) == (0, 16, 32)
    assert (second.first_step, second.examples, second.trained_examples) == (4, 13, 21)
    assert (first.gather_cpu_seconds, loop.steps, loop.order_hash) == (0.0, 7, "")


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
    evaluated = loop.evaluate(sample=7)
    assert evaluated.examples == 12
    assert 0 <= evaluated.correct <= 12
    assert evaluated.step == 0
    after = loop.adapter.weights()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert loop.adapter.take_metrics().examples == 0
    assert evaluated.sample.examples == 12
    assert evaluated.sample.recounted_correct == evaluated.correct
    assert evaluated.sample.recounted_loss_sum == pytest.approx(evaluated.loss_sum)


def test_all_of_a_windows_time_is_accounted_for(loop):
    first = loop.window(Train(lead_in=1, steps=2))
    second = loop.window(Train(lead_in=0, steps=2, partial=True))
    for window in (first, second):
        told = (
            window.gather_cpu_seconds + window.stage_cpu_seconds + window.lead_in_cpu_seconds
            + window.cpu_seconds + window.partial_cpu_seconds + window.read_before_cpu_seconds
            + window.read_cpu_seconds + window.read_again_cpu_seconds
        )  # fmt: skip
        assert 0 < told <= window.total_cpu_seconds * 1.01
        assert window.wall_seconds < window.total_seconds
    assert second.weights_before == first.weights_after != first.weights_before


class Postponing(ReferenceAdapter):
    """Trains only when it is asked for its metrics."""

    def train(self, batches):
        self.queue = [*getattr(self, "queue", ()), *batches]

    def take_metrics(self):
        queue, self.queue = getattr(self, "queue", ()), ()
        super().train(queue)
        return super().take_metrics()


def test_work_that_was_put_off_shows_when_metrics_are_read(data, setup, weights):
    adapter = Postponing(setup)
    adapter.load_weights(weights)
    loop = TrainingLoop(adapter, data, batch_order(0, 2, EXAMPLES), BATCH)
    window = loop.window(Train(lead_in=0, steps=5))
    assert window.read_cpu_seconds > 10 * window.read_again_cpu_seconds
    assert window.read_cpu_seconds > 10 * window.cpu_seconds


def test_losses_of_single_steps_are_those_of_the_window(loop, data):
    assert loop.next_images().shape == (BATCH, 1, 28, 28)
    single = [loop.train_steps(1) for _ in range(3)]
    assert all(each.loss_sum > 0 and each.examples == BATCH for each in single)
    assert loop.train_steps(2).examples == 2 * BATCH
    assert loop.steps == 5


@pytest.mark.parametrize(
    ("examples", "sizes"), [(10_000, {1000}), (4_500, {1000, 500}), (30, {30})]
)
def test_evaluation_sizes(examples, sizes):
    assert evaluation_sizes((examples, 28, 28)) == sizes


def test_large_images_are_evaluated_few_at_once():
    assert evaluation_sizes((10_000, 224, 224)) == {15, 10}


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
