"""The reference behind the ``Adapter`` that every implementation offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from impls.adapter import Adam, Adapter, Metrics, Setup, Sgd
from impls.definition import Dropout, Model
from impls.reference.adapter import create
from impls.reference.layers import chain, softmax_cross_entropy
from impls.reference.passes import Context

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
    pixels = images[0].astype(np.float64)
    assert_array_equal(logits, chain(lenet.layers, pixels, Context(weights)).outputs)


def test_training_learns(adapter: Adapter, images: Array, labels: Array) -> None:
    batches = adapter.stage(images, labels)
    before = adapter.evaluate(batches)
    for _ in range(20):
        adapter.train(batches)
    assert adapter.evaluate(batches).loss_sum < before.loss_sum


@pytest.fixture
def normalized(models: dict[str, Model], setup: Setup) -> Setup:
    return msgspec.structs.replace(setup, model=models["lenet-bn"])


def test_running_statistics_are_loaded_and_handed_out_in_canonical_order(
    normalized: Setup, weights_of: Callable[[Model], Weights]
) -> None:
    adapter = create(normalized)
    weights = weights_of(normalized.model)
    adapter.load_weights(dict(reversed(weights.items())))
    assert_same(adapter.weights(), weights)
    assert list(weights)[2:6] == ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"]


def test_training_moves_the_running_statistics_by_the_batch_and_not_by_the_optimizer(
    normalized: Setup, weights_of: Callable[[Model], Weights], images: Array, labels: Array
) -> None:
    """The first normalization sees what the first convolution makes of the batch."""
    still = msgspec.structs.replace(normalized, optimizer=Sgd(learning_rate=0.0))
    adapter = create(still)
    adapter.load_weights(weights_of(normalized.model))
    before = adapter.weights()
    adapter.train(adapter.stage(images[:1], labels[:1]))
    after = adapter.weights()
    pixels = images[0].astype(np.float64)
    seen = chain(normalized.model.layers[:1], pixels, Context(before)).outputs
    for name, batch in (
        ("running_mean", seen.mean((0, 2, 3))),
        ("running_var", seen.var((0, 2, 3))),
    ):
        expected = 0.9 * before[f"bn1.{name}"] + 0.1 * batch
        assert_allclose(after[f"bn1.{name}"], expected, rtol=1e-12, err_msg=name)
    for name, array in after.items():
        moved = name.split(".")[1].startswith("running")
        assert (array != before[name]).any() == moved, name


def test_the_variance_formula_is_the_one_asked_for(
    normalized: Setup, weights_of: Callable[[Model], Weights], images: Array, labels: Array
) -> None:
    results = []
    for formula in ("biased", "unbiased"):
        adapter = create(msgspec.structs.replace(normalized, variance_formula=formula))
        adapter.load_weights(weights_of(normalized.model))
        adapter.train(adapter.stage(images[:1], labels[:1]))
        results.append(adapter.weights())
    for name, array in results[0].items():
        assert (array != results[1][name]).any() == name.endswith(".running_var"), name


def test_inference_goes_by_the_running_statistics_and_leaves_them(
    normalized: Setup, weights_of: Callable[[Model], Weights], images: Array, labels: Array
) -> None:
    adapter = create(normalized)
    adapter.load_weights(weights_of(normalized.model))
    before = adapter.weights()
    whole = adapter.logits(images[0])
    one_by_one = np.concatenate([adapter.logits(image[np.newaxis]) for image in images[0]])
    assert_allclose(one_by_one, whole, rtol=1e-12)
    adapter.evaluate(adapter.stage(images, labels))
    assert_same(adapter.weights(), before)
    adapter.load_weights({**before, "bn2.running_mean": before["bn2.running_mean"] + 1})
    assert (adapter.logits(images[0]) != whole).all()


def test_float32_mode_computes_in_float32_what_the_oracle_computes(
    normalized: Setup, weights_of: Callable[[Model], Weights], images: Array, labels: Array
) -> None:
    results = []
    for mode in ("eager", "float32"):
        adapter = create(msgspec.structs.replace(normalized, mode=mode))
        adapter.load_weights(weights_of(normalized.model))
        adapter.train(adapter.stage(images[:1], labels[:1]))
        results.append({**adapter.weights(), "logits": adapter.logits(images[0])})
    exact, rounded = results
    assert {array.dtype for array in rounded.values()} == {np.dtype(np.float32)}
    for name, array in exact.items():
        assert array.dtype == np.float64
        assert_allclose(rounded[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    assert any((rounded[name] != array).any() for name, array in exact.items())


@pytest.fixture
def dropping(setup: Setup) -> Setup:
    """LeNet with dropout before its last layer."""
    *layers, last = setup.model.layers
    model = msgspec.structs.replace(setup.model, layers=(*layers, Dropout(rate=0.5), last))
    return msgspec.structs.replace(setup, model=model, seed=5)


def test_dropout_is_drawn_from_the_seed_and_begins_anew_with_the_weights(
    dropping: Setup, xavier: Weights, images: Array, labels: Array
) -> None:
    def trained(setup: Setup, times: int = 1) -> Weights:
        adapter = create(setup)
        for _ in range(times):
            adapter.load_weights(xavier)
            adapter.train(adapter.stage(images, labels))
        return adapter.weights()

    weights = trained(dropping)
    assert_same(trained(dropping), weights)
    assert_same(trained(dropping, times=2), weights)
    other = trained(msgspec.structs.replace(dropping, seed=6))
    off = trained(msgspec.structs.replace(dropping, dropout=False))
    for one in (other, off):
        assert (one["dense3.weight"] != weights["dense3.weight"]).any()


def test_without_dropout_a_network_trains_as_if_it_had_none(
    setup: Setup, dropping: Setup, xavier: Weights, images: Array, labels: Array
) -> None:
    results = []
    for one in (setup, msgspec.structs.replace(dropping, dropout=False)):
        adapter = create(one)
        adapter.load_weights(xavier)
        adapter.train(adapter.stage(images, labels))
        results.append(adapter.weights())
    assert_same(*results)


def test_dropout_is_for_training_alone(
    setup: Setup, dropping: Setup, xavier: Weights, images: Array
) -> None:
    with_dropout, without = create(dropping), create(setup)
    for adapter in (with_dropout, without):
        adapter.load_weights(xavier)
    assert_array_equal(with_dropout.logits(images[0]), without.logits(images[0]))


def test_layers_are_those_of_the_table(normalized: Setup) -> None:
    lines = create(normalized).layers()
    assert len(lines) == len(normalized.model.layers)
    assert tuple(lines[0]) == ("conv1", "Conv", (6, 24, 24), 156)
    assert tuple(lines[1]) == ("bn1", "BatchNorm", (6, 24, 24), 12)
    assert tuple(lines[2]) == ("", "Sigmoid", (6, 24, 24), 0)
    assert sum(line.parameters for line in lines) == 44_426 + 2 * (6 + 16 + 120 + 84)


def test_it_lives_on_the_cpu(adapter: Adapter) -> None:
    assert adapter.device() == "cpu"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "mode",
            "compiled",
            "No reference mode 'compiled': expected "
            "eager or float32 or float32-one-by-one or shaken-1 or shaken-2 or "
            "one-by-one or shaken-float64",
        ),
        ("device", "gpu:0", "No reference device 'gpu:0': expected cpu"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(
    field: str, value: str, message: str, setup: Setup
) -> None:
    with pytest.raises(ValueError) as error:
        create(msgspec.structs.replace(setup, **{field: value}))
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["lenet", "lenet-bn"])
@pytest.mark.parametrize("drops", [True, False], ids=["dropout", "none"])
def test_losses_under_masks_are_those_of_training_steps_that_change_nothing(
    setup: Setup,
    models: dict[str, Model],
    weights_of: Callable[[Model], Weights],
    images: Array,
    labels: Array,
    name: str,
    drops: bool,
) -> None:
    layers = list(models[name].layers)
    if drops:
        layers.insert(-1, Dropout(rate=0.5))
        layers.insert(4, Dropout(rate=0.3))
    model = msgspec.structs.replace(models[name], layers=tuple(layers))
    still = msgspec.structs.replace(setup, model=model, optimizer=Sgd(learning_rate=0.0))
    adapter = create(still)
    adapter.load_weights(weights_of(model))
    expected = []
    for _ in range(2):
        adapter.train(adapter.stage(images[:1], labels[:1]))
        expected.append(adapter.take_metrics().loss_sum / 4)
    adapter.load_weights(weights_of(model))
    one_by_one = [adapter.training_losses(images[0], labels[0], 1)[0] for _ in range(2)]
    assert_allclose(one_by_one, expected, rtol=1e-12)
    adapter.load_weights(weights_of(model))
    together = adapter.training_losses(images[0], labels[0], 100)
    assert together.shape == (100,)
    assert len(np.unique(together)) == (100 if drops else 1)
