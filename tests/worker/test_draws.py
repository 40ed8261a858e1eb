from __future__ import annotations

import numpy as np
import pytest

from harness import paths
from harness.datasets.arrays import Arrays, array_path
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from harness.worker.draws import draw
from harness.worker.loop import batches
from harness.worker.wire import Draw, Job
from impls.adapter import Setup, Sgd
from impls.reference.adapter import create

MODEL = read_models(paths.BENCHMARKS / "models.toml")["lenet"]


@pytest.fixture
def data(tmp_path) -> Arrays:
    random = np.random.RandomState(3)
    arrays = Arrays(
        random.randint(0, 256, (9, 28, 28)).astype(np.uint8),
        random.randint(0, 10, 9).astype(np.uint8),
        random.randint(0, 256, (2, 28, 28)).astype(np.uint8),
        random.randint(0, 10, 2).astype(np.uint8),
    )
    for field, array in arrays._asdict().items():
        np.save(array_path(tmp_path, field), array)
    np.save(tmp_path / "order.npy", np.array([[5, 2, 0]], np.int32))
    return arrays


@pytest.mark.parametrize("at_once", [True, False])
def test_the_batch_is_the_first_image_of_the_order_several_times(data, tmp_path, at_once):
    setup = Setup(
        model=MODEL,
        optimizer=Sgd(learning_rate=0.0),
        batch_size=3,
        mode="eager",
        device="cpu",
        threads=1,
    )
    job = Job(
        implementation="",
        folder="",
        setup=setup,
        data_folder=str(tmp_path),
        weights="",
        order=str(tmp_path / "order.npy"),
    )
    adapter = create(setup)
    adapter.load_weights(initial_weights(MODEL, "xavier", 0))
    found = draw(adapter, job, Draw(copies=3, draws=5, at_once=at_once))
    first = adapter.stage(*batches(data.train_images, data.train_labels, np.array([[5]])))
    expected = adapter.evaluate(first).loss_sum
    # There is no dropout in this model: each draw is the plain loss.
    assert found.losses == pytest.approx([expected] * 5)
    assert found.inference_losses == pytest.approx([expected] * 4)
    assert adapter.take_metrics().examples == 0
