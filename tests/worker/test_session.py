"""What a worker does before its first window."""

from __future__ import annotations

import io

import numpy as np
import pytest

from harness import paths
from harness.datasets.arrays import Arrays
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from harness.worker.session import Session, asked
from harness.worker.wire import Job
from impls.adapter import Setup, Sgd
from impls.reference.adapter import ReferenceAdapter

EXAMPLES, BATCH = 21, 8


class Counting(ReferenceAdapter):
    """Notes the sizes of the batches that it is trained on."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.sizes: list[int] = []

    def train(self, batches):
        self.sizes += [len(labels) for _, labels in batches]
        super().train(batches)


@pytest.mark.parametrize(("device", "partial_steps"), [("cpu", 1), ("gpu:0", 3)])
def test_warm_up_meets_every_shape_and_on_a_gpu_as_often_as_a_recording_needs(
    device, partial_steps
):
    random = np.random.RandomState(3)
    data = Arrays(
        random.randint(0, 256, (EXAMPLES, 28, 28)).astype(np.uint8),
        random.randint(0, 10, EXAMPLES).astype(np.uint8),
        random.randint(0, 256, (6, 28, 28)).astype(np.uint8),
        random.randint(0, 10, 6).astype(np.uint8),
    )
    model = read_models(paths.BENCHMARKS / "models.toml")["lenet"]
    setup = Setup(
        model=model,
        optimizer=Sgd(learning_rate=0.1),
        batch_size=BATCH,
        mode="eager",
        device=device,
        threads=1,
    )
    job = Job(
        implementation="",
        folder="",
        setup=setup,
        data_folder="",
        weights="",
        order="",
        whole_epochs=True,
    )
    adapter = Counting(setup)
    adapter.load_weights(initial_weights(model, "xavier", 0))
    Session(io.BytesIO())._warm_up(adapter, job, data, 3)
    assert adapter.sizes == [BATCH] * 4 + [EXAMPLES % BATCH] * partial_steps


def test_an_older_adapter_answers_nothing_to_a_new_question():
    assert asked(object(), "result_device") is None
