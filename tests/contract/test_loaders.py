"""What every framework's own data loader must bring, however it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import paths
from harness.spec.implementations import read_implementations

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

LOADING = {
    name: one
    for name, one in read_implementations(paths.IMPLS).items()
    if set(one.inputs) - {"resident"}
}

PROGRAM = """
import importlib, json, os, sys
from pathlib import Path
import numpy as np
import psutil
from harness.datasets.arrays import examples_digest
from harness.datasets.weights import initial_weights
from harness.spec.recipes import read_models
from impls.adapter import Setup, Sgd

create = importlib.import_module(f"impls.{sys.argv[1]}.adapter").create
models = read_models(Path("benchmarks/models.toml"))
images = np.random.RandomState(3).randint(256, size=(100, 28, 28)).astype(np.uint8)
labels = (np.arange(100) % 10).astype(np.uint8)
weights = initial_weights(models["lenet"], "xavier", 1)

def opened(mode, kind, workers, model="lenet", seed=7):
    adapter = create(Setup(
        model=models[model], optimizer=Sgd(learning_rate=0.125), batch_size=32, mode=mode,
        device="cpu", threads=1, seed=seed, dropout=False,
    ))
    if model == "lenet":
        adapter.load_weights(weights)
    adapter.open_loader(images, labels, workers, kind)
    return adapter

def content(batches):
    pixels = np.concatenate([each.images for each in batches])
    answers = np.concatenate([each.labels for each in batches])
    assert pixels.dtype == np.float32 and answers.dtype == np.int64
    scaled = np.rint(pixels[:, 0] * 255).astype(np.uint8)
    assert np.abs(scaled / 255 - pixels[:, 0]).max() < 1e-7
    return examples_digest(scaled, answers), pixels.tobytes() + answers.tobytes()

found, keep = {"runs": {}}, []
for case in sys.argv[2:]:
    mode, kind, workers = case.split(",")
    adapter = opened(mode, kind, int(workers))
    for steps in (3, 5):
        adapter.train_from_loader(steps)
    adapter.synchronize()
    trained, metrics = adapter.weights(), adapter.take_metrics()
    again = opened(mode, kind, int(workers))
    drawn = [*again.loaded_batches(3), *again.loaded_batches(5)]
    untouched = again.take_metrics().examples
    for batch in drawn:
        again.train(again.stage(batch.images[np.newaxis], batch.labels[np.newaxis]))
    again.synchronize()
    staged, sums = again.weights(), again.take_metrics()
    first, second = content(drawn[:4]), content(drawn[4:])
    # Each is drawn from at once: a framework may shuffle by a generator of the whole process.
    without = opened(mode, kind, 0)
    of_no_workers = content([*without.loaded_batches(4)])[1]
    other = opened(mode, kind, int(workers), seed=8)
    of_other_seed = content([*other.loaded_batches(4)])[1]
    mixed = opened(mode, kind, int(workers))
    mixed.train_from_loader(4)
    found["runs"][case] = {
        "sizes": [list(each.images.shape) for each in drawn],
        "whole": [part[0] == examples_digest(images, labels) for part in (first, second)],
        "alike": first[1] == second[1],
        "without_workers": of_no_workers == first[1],
        "other_seed": of_other_seed == first[1],
        "after_training": content([*mixed.loaded_batches(4)])[1] == second[1],
        "examples": [metrics.examples, untouched, sums.examples],
        "from_staged": max(float(np.abs(trained[n] - staged[n]).max()) for n in weights),
        "loss": abs(metrics.loss_sum - sums.loss_sum) / metrics.loss_sum,
    }
    keep += [adapter, again, without, other, mixed]
    batch, = opened(mode, kind, int(workers), "resnet18").loaded_batches(1)
    found["runs"][case]["large"] = [
        list(batch.images.shape), str(batch.images.dtype), float(batch.images.min()),
        float(batch.images.max()),
    ]
children = psutil.Process().children(recursive=True)
found["children"] = [[each.pid, os.getpgid(each.pid) == os.getpgid(0)] for each in children]
print(json.dumps(found))
"""


def cases(name: str) -> list[str]:
    """``MODE,KIND,WORKERS``: each kind with and without workers in the mode that is usual."""
    one = LOADING[name]
    usual = [f"{one.default_mode},{kind}" for kind in one.inputs if kind != "resident"]
    others = [f"{mode},pipeline" for mode in one.modes if mode in {"eager", "fit"}]
    return [f"{each},{workers}" for each in dict.fromkeys([*usual, *others]) for workers in (0, 2)]


@pytest.mark.parametrize("name", LOADING)
def test_an_epoch_is_the_training_set_and_training_from_it_is_training_on_its_batches(
    answer_in, name
):
    before = set(Path("/dev/shm").glob("*"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = answer_in(name, PROGRAM, name, *cases(name), loader=True, env=environment)
    assert list(found["runs"]) == cases(name)
    for case, run in found["runs"].items():
        assert run["sizes"] == [[32, 1, 28, 28]] * 3 + [[4, 1, 28, 28]] + run["sizes"][:4], case
        assert run["whole"] == [True, True], case
        assert not run["alike"], case
        assert run["without_workers"], case
        assert not run["other_seed"], case
        assert run["after_training"], case
        assert run["examples"] == [200, 0, 200], case
        assert run["from_staged"] < 1e-6, case
        assert run["loss"] < 1e-6, case
        assert run["large"][:2] == [[32, 1, 96, 96], "float32"], case
        assert 0.0 <= run["large"][2] < run["large"][3] <= 1.0, case
    # Loaders that are still open at the end of their process leave nothing behind.
    assert all(same_group for _, same_group in found["children"])
    assert not [pid for pid, _ in found["children"] if Path(f"/proc/{pid}").exists()]
    assert not [path for path in set(Path("/dev/shm").glob("*")) - before if "mx" in path.name]
