"""The reference behind the ``Adapter`` that every implementation offers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from impls.adapter import Adam, Adapter, Metrics, Setup, Sgd
from impls.definition import Model
from impls.reference.adapter import create
from impls.reference.layers import chain, softmax_cross_entropy

Array = NDArray[Any]
Weights = dict[str, Array]

OPTIMIZERS = [
    Sgd(learning_rate=0.9),
    Sgd(learning_rate=0.1, momentum=0.9),
    Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8),
]


@pytest.fixture
def setup(lenet: Model) -> Setup:
    return Setup(
        model=lenet,
        optimizer=Sgd(learning_rate=0.5),
        batch_size=4,
        mode="eager",
        device="cpu",
        threads=1,
    )


@pytest.fixture
def adapter(setup: Setup, xavier: Weights) -> Adapter:
    adapter = create(setup)
    adapter.load_weights(xavier)
    return adapter


def assert_same(one: Weights, other: Weights) -> None:
    """Equal names in equal order, and equal arrays bit for bit."""
    assert list(one) == list(other)
    for name, array in one.items():
        assert_array_equal(array, other[name], err_msg=name)


def test_weights_are_those_loaded_in_float64(adapter: Adapter, xavier: Weights) -> None:
    weights = adapter.weights()
    assert_same(weights, xavier)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float64)}


def test_weights_come_in_canonical_order_however_they_were_loaded(
    adapter: Adapter, lenet: Model, xavier: Weights
) -> None:
    adapter.load_weights(dict(reversed(xavier.items())))
    assert list(adapter.weights()) == list(lenet.parameter_shapes())


def test_weights_are_copies(adapter: Adapter, xavier: Weights, images: Array) -> None:
    given = {name: array.astype(np.float64) for name, array in xavier.items()}
    adapter.load_weights(given)
    before = adapter.logits(images[0])
    for array in (*given.values(), *adapter.weights().values()):
        array[...] = 0
    assert_array_equal(adapter.logits(images[0]), before)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_loading_weights_starts_everything_anew(
    optimizer: Sgd | Adam, setup: Setup, xavier: Weights, images: Array, labels: Array
) -> None:
    adapter = create(msgspec.structs.replace(setup, optimizer=optimizer))
    runs = []
    for _ in range(2):
        adapter.load_weights(xavier)
        # What is left here must not leak into the next run.
        adapter.train(adapter.stage(images, labels))
        adapter.synchronize()
        runs.append(adapter.weights())
    assert_same(*runs)
    adapter.load_weights(xavier)
    assert adapter.take_metrics() == Metrics(0.0, 0, 0)


def test_one_stack_of_steps_is_the_steps_one_by_one(
    adapter: Adapter, xavier: Weights, images: Array, labels: Array
) -> None:
    adapter.train(adapter.stage(images, labels))
    together, metrics = adapter.weights(), adapter.take_metrics()
    adapter.load_weights(xavier)
    for step in range(len(images)):
        adapter.train(adapter.stage(images[step : step + 1], labels[step : step + 1]))
    assert_same(adapter.weights(), together)
    assert adapter.take_metrics() == metrics


@pytest.mark.parametrize("examples", [4, 3, 1])
def test_a_step_follows_the_mean_gradient_of_the_examples_there_are(
    examples: int, adapter: Adapter, xavier: Weights, images: Array, labels: Array
) -> None:
    images, labels = images[:1, :examples], labels[:1, :examples]
    adapter.train(adapter.stage(images, labels))
    stepped = adapter.weights()
    alone = []
    for example in range(examples):
        adapter.load_weights(xavier)
        one = slice(example, example + 1)
        adapter.train(adapter.stage(images[:, one], labels[:, one]))
        alone.append(adapter.weights())
    for name, array in stepped.items():
        mean = np.mean([weights[name] for weights in alone], axis=0)
        assert_allclose(array, mean, rtol=0, atol=1e-14, err_msg=name)


def test_metrics_are_sums_of_what_each_step_saw_before_its_update(
    adapter: Adapter, images: Array, labels: Array
) -> None:
    loss_sum, correct = 0.0, 0
    for step in range(len(images)):
        logits = adapter.logits(images[step])
        loss_sum += softmax_cross_entropy(logits, labels[step])[0].sum()
        correct += int((logits.argmax(axis=1) == labels[step]).sum())
        adapter.train(adapter.stage(images[step : step + 1], labels[step : step + 1]))
    metrics = adapter.take_metrics()
    assert metrics.loss_sum == pytest.approx(loss_sum, rel=1e-14)
    assert (metrics.correct, metrics.examples) == (correct, 12)
    assert adapter.take_metrics() == Metrics(0.0, 0, 0)


def test_evaluation_changes_nothing(adapter: Adapter, images: Array, labels: Array) -> None:
    before = adapter.weights()
    losses = [
        softmax_cross_entropy(adapter.logits(x), y)[0] for x, y in zip(images, labels, strict=True)
    ]
    best = np.stack([adapter.logits(x).argmax(axis=1) for x in images])
    metrics = adapter.evaluate(adapter.stage(images, best))
    assert (metrics.correct, metrics.examples) == (12, 12)
    metrics = adapter.evaluate(adapter.stage(images, labels))
    assert metrics.loss_sum == pytest.approx(np.sum(losses), rel=1e-14)
    assert_same(adapter.weights(), before)
    assert adapter.take_metrics() == Metrics(0.0, 0, 0)


def test_logits_are_those_of_the_tables(
    adapter: Adapter, lenet: Model, xavier: Weights, images: Array
) -> None:
    logits = adapter.logits(images[0])
    assert (logits.shape, logits.dtype) == ((4, 10), np.dtype(np.float64))
    weights = {name: array.astype(np.float64) for name, array in xavier.items()}
    assert_array_equal(logits, chain(lenet.layers, images[0].astype(np.float64), weights)[0])


def test_training_learns(adapter: Adapter, images: Array, labels: Array) -> None:
    batches = adapter.stage(images, labels)
    before = adapter.evaluate(batches)
    for _ in range(20):
        adapter.train(batches)
    assert adapter.evaluate(batches).loss_sum < before.loss_sum


def test_it_lives_on_the_cpu(adapter: Adapter) -> None:
    assert adapter.device() == "cpu"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("mode", "compiled", "No reference mode 'compiled': expected eager"),
        ("device", "gpu:0", "No reference device 'gpu:0': expected cpu"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(
    field: str, value: str, message: str, setup: Setup
) -> None:
    with pytest.raises(ValueError) as error:
        create(msgspec.structs.replace(setup, **{field: value}))
    assert str(error.value) == message
