"""Keras on TensorFlow behind the suite's ``Adapter``.

Tried on LeNet, batch 256, 2 threads, windows of 20 steps in turns (2-core Xeon virtual machine,
CPU; median ratio of rates, above 1 is faster than what is used here; the same against itself came
out at 0.98):

* compiled, one call per step instead of one per window: 0.90; xla: 0.96
* one graph for batches of any size instead of one for each size: 0.98; in batches of 32 it had 0.96
  of the rate of the loop written by hand, and this has 1.00
* xla around the whole loop instead of the step: 0.23
* xla instead of compiled: 0.40
* eager instead of compiled: 0.22 to 0.24
* within the noise, all with one call per step: ``tf.nn.sparse_softmax_cross_entropy_with_logits``
  instead of Keras's loss 0.98 to 0.99; ``keras.metrics`` 0.92 to 1.04; no metrics 0.99 to 1.03; SGD
  written out instead of ``optimizer.apply`` 0.98
* 1 inter-op thread: 1.00; ``TF_ENABLE_ONEDNN_OPTS=0``: 0.31

The first step takes 0.7 s compiled, 2.5 s with xla.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from impls.adapter import (
    LayerLine,
    LoadedBatch,
    LoaderKind,
    LoadingAdapter,
    Metrics,
    Setup,
    Weights,
)
from impls.keras.loader import Loader
from impls.keras.network import Network, require
from impls.keras.training import FitTraining, Training, WrittenTraining

MODES = ("eager", "compiled", "xla", "fit")


def create(setup: Setup) -> LoadingAdapter:
    """The adapter of ``setup``'s model on its device, with TensorFlow set to its threads.

    Raises ``ValueError``: unknown model or mode, or a device that is not there.
    """
    require(setup, "tensorflow", "keras", MODES)
    device = _device(setup.device)
    # TensorFlow refuses a change once it has started, even to the same number.
    if tf.config.threading.get_intra_op_parallelism_threads() != setup.threads:
        tf.config.threading.set_intra_op_parallelism_threads(setup.threads)
        tf.config.threading.set_inter_op_parallelism_threads(setup.threads)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    with tf.device(device):
        return KerasAdapter(setup, device)


class KerasAdapter:
    """A Keras model and its optimizer on one device, in canonical weights and batches."""

    def __init__(self, setup: Setup, device: str) -> None:
        self._setup = setup
        self._device = device
        self._network = Network(setup)
        self._model, self._optimizer = self._network.model, self._network.optimizer
        self._training: Training = (
            FitTraining(self._model, self._optimizer)
            if setup.mode == "fit"
            else WrittenTraining(self._model, self._optimizer, setup.mode)
        )
        self._loader: Loader | None = None

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0."""
        self._network.load(weights)
        self.take_metrics()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → array of the setup's precision on the host, a copy."""
        return self._network.weights()

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """(S, B, H, W, C) images and (S, B) int64 on the device, as the mode takes them."""
        pixels = images.astype(self._setup.precision, copy=False).transpose(0, 1, 3, 4, 2)
        with tf.device(self._device):
            return self._training.stage(pixels, labels)

    def train(self, batches: Any) -> None:
        """One optimizer step per batch has been issued, and its loss and hits are added up."""
        with tf.device(self._device):
            self._training.train(batches)

    def open_loader(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        workers: int,
        kind: LoaderKind,
    ) -> None:
        """A ``tf.data`` pipeline over (N, H, W) images and (N,) labels stands; see ``Loader``."""
        _, height, width = self._setup.model.input_shape
        self._loader = Loader(
            images,
            labels,
            size=(height, width),
            batch_size=self._setup.batch_size,
            seed=self._setup.seed,
            workers=workers,
            kind=kind,
        )

    def train_from_loader(self, steps: int) -> None:
        """One optimizer step for each of the pipeline's next ``steps`` batches has been issued.

        Raises ``RuntimeError``: no loader is open.
        """
        with tf.device(self._device):
            self._training.train_from(self._open(), steps)

    def loaded_batches(self, count: int) -> Iterator[LoadedBatch]:
        """The pipeline's next ``count`` batches on the host, in place of being trained on.

        Raises ``RuntimeError``: no loader is open.
        """
        loader = self._open()
        for _ in range(count):
            images, labels = loader.batches.get_next()
            loader.examples_of_next(1)
            yield LoadedBatch(images.numpy().transpose(0, 3, 1, 2), labels.numpy())

    def _open(self) -> Loader:
        if self._loader is None:
            raise RuntimeError("No loader is open, expected one: call open_loader first")
        return self._loader

    def synchronize(self) -> None:
        """All work issued so far is finished, copies of staged batches to a GPU with it.

        https://www.tensorflow.org/api_docs/python/tf/test/experimental/sync_devices
        """
        tf.test.experimental.sync_devices()

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        return self._training.take_metrics()

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy over the staged batches in inference mode."""
        with tf.device(self._device):
            return self._training.evaluate(batches)

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, 10) logits of (B, C, H, W) images in inference mode, on the host."""
        pixels = images.astype(self._setup.precision, copy=False).transpose(0, 2, 3, 1)
        with tf.device(self._device):
            return np.asarray(self._training.logits(pixels))

    def device(self) -> str:
        """``cpu`` or ``gpu:N``, asked of every parameter."""
        return _places(variable.value.device for variable in self._model.trainable_variables)

    def result_device(self) -> str:
        """Likewise, asked of the logits of a forward pass taken now, and of the memory they are in.

        What a graph computes within is gone when it has run.
        """
        with tf.device(self._device):
            channels, height, width = self._setup.model.input_shape
            logits = self._model(tf.zeros((1, height, width, channels)), training=False)
        return _places((logits.device, logits.backing_device))

    def peak_device_memory_bytes(self) -> int | None:
        """Most that tensors took of the GPU at once, without what the allocator keeps in reserve.

        https://www.tensorflow.org/api_docs/python/tf/config/experimental/get_memory_info
        """
        if self._device == "/CPU:0":
            return None
        return int(tf.config.experimental.get_memory_info(self._device.strip("/"))["peak"])

    def layers(self) -> list[LayerLine]:
        """Keras's layers in the order of ``Model.layers``; one with an activation counts as one."""
        return self._network.layers()


def _places(names: Iterable[str]) -> str:
    """``cpu``, ``gpu:0``: TensorFlow's names of devices as ours, several joined by commas."""
    parts = {tuple(name.split(":")[-2:]) for name in names}
    return ", ".join(
        sorted("cpu" if kind == "CPU" else f"{kind.lower()}:{index}" for kind, index in parts)
    )


def _device(name: str) -> str:
    """``cpu``, ``gpu`` or ``gpu:N`` as the name of a TensorFlow device that exists."""
    kind, _, index = name.partition(":")
    if name == "cpu":
        return "/CPU:0"
    if kind != "gpu" or not (index or "0").isdigit():
        raise ValueError(f"No keras device {name!r}: expected cpu, gpu or gpu:N")
    gpus = tf.config.list_physical_devices("GPU")
    if int(index or 0) >= len(gpus):
        raise ValueError(
            f"No device {name!r}: TensorFlow {tf.__version__} sees {len(gpus)} GPUs; "
            "use --device cpu, or install tensorflow[and-cuda]"
        )
    # TensorFlow takes all of a GPU's memory otherwise, and other contenders are on it too.
    # https://www.tensorflow.org/guide/gpu#limiting_gpu_memory_growth
    tf.config.experimental.set_memory_growth(gpus[int(index or 0)], True)
    return f"/GPU:{index or 0}"
