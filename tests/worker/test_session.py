"""What a worker does before its first window, and what it answers to a proof and at its end."""

from __future__ import annotations

import io

import msgspec
import numpy as np
import pytest

from harness import paths
from harness.datasets.arrays import Arrays, digest_of_order, digest_of_weights
from harness.datasets.order import batch_order
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from harness.worker.loop import TrainingLoop
from harness.worker.session import Session, Start, asked, read_arrays
from harness.worker.wire import (
    Command,
    Finish,
    Job,
    Message,
    Prove,
    Ready,
    Train,
    decode_message,
    encode,
)
from impls.adapter import Setup, Sgd, Weights
from impls.reference.adapter import ReferenceAdapter

EXAMPLES, BATCH = 21, 5
MODEL = read_models(paths.BENCHMARKS / "models.toml")["lenet"]
SETUP = Setup(
    model=MODEL,
    optimizer=Sgd(learning_rate=0.1),
    batch_size=BATCH,
    mode="eager",
    device="cpu",
    threads=1,
)
WEIGHTS = initial_weights(MODEL, "xavier", 0)


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
    data, device, partial_steps
):
    setup = msgspec.structs.replace(SETUP, device=device)
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
    adapter.load_weights(WEIGHTS)
    Session(io.BytesIO())._warm_up(adapter, job, data, 3)
    assert adapter.sizes == [BATCH] * 4 + [EXAMPLES % BATCH] * partial_steps


def test_an_older_adapter_answers_nothing_to_a_new_question():
    assert asked(object(), "result_device") is None


class Warm(Session):
    """Built already, around an adapter of ours."""

    def __init__(self, adapter: ReferenceAdapter, data: Arrays, weights: Weights) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written)
        order = batch_order(0, 2, EXAMPLES)
        self._start = Start(adapter, data, order, dict(weights), "data")
        self.loop = TrainingLoop(adapter, data, order, BATCH)

    def _build(self, job: Job) -> tuple[TrainingLoop, Ready]:
        ready = Ready(
            phases={}, data_hash="data", weights_hash="", device="cpu", threads={},
            train_examples=EXAMPLES, test_examples=6,
        )  # fmt: skip
        return self.loop, ready

    def answers(self, *commands: Command) -> list[Message]:
        """To ``commands``, without what a worker says before them."""
        job = Job(implementation="", folder="", setup=SETUP, data_folder="", weights="", order="")
        self.run(io.BytesIO(b"".join(map(encode, (job, *commands)))))
        return [decode_message(line) for line in self.written.getvalue().splitlines()][2:]


@pytest.fixture
def data() -> Arrays:
    random = np.random.RandomState(3)
    return Arrays(
        random.randint(0, 256, (EXAMPLES, 28, 28)).astype(np.uint8),
        random.randint(0, 10, EXAMPLES).astype(np.uint8),
        random.randint(0, 256, (6, 28, 28)).astype(np.uint8),
        random.randint(0, 10, 6).astype(np.uint8),
    )


@pytest.fixture
def adapter() -> ReferenceAdapter:
    adapter = ReferenceAdapter(SETUP)
    adapter.load_weights(WEIGHTS)
    return adapter


@pytest.fixture
def session(adapter, data) -> Warm:
    return Warm(adapter, data, WEIGHTS)


def digest(path, prefix: str) -> str:
    arrays = read_arrays(str(path))
    return digest_of_weights(
        {name: array for name, array in arrays.items() if name.startswith(prefix)}
    )


def test_a_proof_begins_and_ends_where_the_trial_does(session, adapter, tmp_path):
    proving = Prove(batch_size=BATCH, steps=1, window_steps=1, output=str(tmp_path / "proof.npz"))
    window = Train(lead_in=0, steps=1)
    first, trained, second, again = session.answers(proving, window, proving, window)
    assert first == second
    assert first.hashes.data == "data"
    assert first.hashes.weights == digest_of_weights(WEIGHTS)
    assert first.hashes.order == digest_of_order(batch_order(0, 2, EXAMPLES)[0][: 2 * BATCH])
    assert (trained.first_step, again.first_step) == (0, 1)
    assert first.losses[0] * BATCH == pytest.approx(trained.loss_sum, rel=1e-12)
    assert trained.weights_before == again.weights_before == digest_of_weights(WEIGHTS)
    # Whose metrics were not counted to the window that follows.
    assert trained.trained_examples == again.trained_examples == BATCH


def test_a_proof_may_be_asked_for_other_weights_and_another_order(session, tmp_path):
    other = initial_weights(MODEL, "xavier", 1)
    np.savez(tmp_path / "weights.npz", **other)
    order = batch_order(7, 1, EXAMPLES)
    np.save(tmp_path / "order.npy", order)
    usual = Prove(batch_size=BATCH, steps=2, output=str(tmp_path / "proof.npz"))
    with_weights = msgspec.structs.replace(usual, weights=str(tmp_path / "weights.npz"))
    with_order = msgspec.structs.replace(usual, order=str(tmp_path / "order.npy"))
    plain, heavier, shuffled, last, window = session.answers(
        usual, with_weights, with_order, usual, Train(lead_in=0, steps=1)
    )
    assert heavier.hashes.weights == digest_of_weights(other)
    assert heavier.hashes.order == plain.hashes.order
    assert shuffled.hashes.weights == plain.hashes.weights == digest_of_weights(WEIGHTS)
    assert shuffled.hashes.order == digest_of_order(order[0][: 2 * BATCH])
    assert len({plain.losses, heavier.losses, shuffled.losses}) == 3
    # The trial has its own again.
    assert last == plain
    assert window.weights_before == digest_of_weights(WEIGHTS)
    assert window.loss_sum == pytest.approx(plain.losses[0] * BATCH, rel=1e-12)


def test_steps_in_one_call_are_the_same_one_by_one_and_further_ones_follow(session, tmp_path):
    one = Prove(batch_size=BATCH, steps=1, window_steps=2, output=str(tmp_path / "one.npz"))
    other = msgspec.structs.replace(
        one, singly=True, further_steps=1, output=str(tmp_path / "other.npz")
    )
    together, singly = session.answers(one, other)
    assert (len(together.losses), together.window.examples) == (1, 2 * BATCH)
    assert (len(singly.losses), len(singly.correct), singly.window) == (4, 4, None)
    assert singly.losses[0] == together.losses[0]
    assert sum(singly.losses[1:3]) * BATCH == pytest.approx(together.window.loss_sum)
    assert sum(singly.correct[1:3]) == together.window.correct
    for group in ("weights/", "end/"):
        assert digest(tmp_path / "one.npz", group) == digest(tmp_path / "other.npz", group)
    groups = {name.split("/")[0] for name in read_arrays(str(tmp_path / "other.npz"))}
    assert groups == {"logits", "logits_after_step", "weights", "end", "last"}
    assert digest(tmp_path / "other.npz", "last/") != digest(tmp_path / "other.npz", "end/")
    assert not any(name.startswith("last/") for name in read_arrays(str(tmp_path / "one.npz")))


@pytest.mark.parametrize("asked_for", [True, False])
def test_a_finished_worker_leaves_its_weights_where_it_was_asked_to(
    session, adapter, tmp_path, asked_for
):
    path = tmp_path / "end.npz"
    window, report = session.answers(
        Train(lead_in=0, steps=2), Finish(weights=str(path) if asked_for else "")
    )
    assert path.exists() is asked_for
    assert (report.steps, report.order_hash) == (
        2, digest_of_order(batch_order(0, 2, EXAMPLES)[0][: 2 * BATCH]),
    )  # fmt: skip
    if asked_for:
        assert digest_of_weights(read_arrays(str(path))) == window.weights_after
        assert window.weights_after != window.weights_before
