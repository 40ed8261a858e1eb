"""Keras on JAX behind the suite's ``Adapter``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
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
from impls.jax.loader import endless_batches
from impls.jax.machine import device_named, peak_memory_bytes, places, set_precision
from impls.keras.network import Network, require
from impls.keras_jax.training import CompiledTraining, FitTraining, Training

MODES = ("compiled", "fit")


def create(setup: Setup) -> LoadingAdapter:
    """The adapter of ``setup``'s model on its device.

    XLA's CPU client reads its number of threads from ``PJRT_NPROC`` when a device is first asked
    for: the harness sets that, as ``impl.toml`` says.

    Raises ``ValueError``: unknown model or mode, or a device that is not there.
    """
    require(setup, "jax", "keras_jax", MODES)
    device = device_named(setup.device)
    set_precision(setup.precision)
    with jax.default_device(device):
        return KerasJaxAdapter(setup, device)


class KerasJaxAdapter:
    """A Keras model, its optimizer and its sums on one device, in canonical weights."""

    def __init__(self, setup: Setup, device: Any) -> None:
        self._setup = setup
        self._device = device
        self._network = Network(setup)
        self._training: Training = (
            FitTraining(self._network)
            if setup.mode == "fit"
            else CompiledTraining(self._network, device)
        )
        model = self._network.model
        # As ``Training.values`` has them.
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        number = {id(variable): index for index, variable in enumerate(variables)}
        self._numbers = {
            name: number[id(place.variable)] for name, place in self._network.places.items()
        }
        self._canonical = jax.jit(self._in_canonical_layout)
        self._result = ""
        self._loaded: Iterator[tuple[Any, Any]] = iter(())

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0.

        Dropout masks start again from ``Setup.seed``.
        """
        with jax.default_device(self._device):
            self._network.load(weights)
            self._training.begin()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → array of the setup's precision on the host, of its own."""
        # Always computed anew: JAX remembers what it has once brought to the host, which would make
        # a second reading cheaper, and on a CPU lends the very memory that the next step reuses.
        arrays = self._canonical(self._now())
        return {name: np.asarray(arrays[name]) for name in self._numbers}

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """A list of (images, labels) on the device, one pair per step: (B, H, W, C) and (B,)."""
        pixels = images.astype(self._setup.precision, copy=False).transpose(0, 1, 3, 4, 2)
        pairs = list(zip(pixels, labels.astype(np.int32), strict=True))
        # By the default and not by name: what is bound to a device is compiled for by itself, and
        # ``fit`` makes sums that aren't at each call.
        with jax.default_device(self._device):
            return jax.block_until_ready(jax.device_put(pairs))

    def train(self, batches: Any) -> None:
        """One optimizer step per pair has been issued, and its loss and hits are added up."""
        with jax.default_device(self._device):
            self._training.train(batches, len(batches))

    def open_loader(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        workers: int,
        kind: LoaderKind,
    ) -> None:
        """Shuffled batches of (N, H, W) images and (N,) labels are to be had, as JAX's users do."""
        self._loaded = endless_batches(images, labels, self._setup, workers, kind)

    def train_from_loader(self, steps: int) -> None:
        """One optimizer step for each of the loader's next ``steps`` batches has been issued."""
        precision = self._setup.precision
        batches = (
            jax.device_put((images.astype(precision, copy=False), labels))
            for images, labels in islice(self._loaded, steps)
        )
        if steps:  # fit refuses to have no batches
            with jax.default_device(self._device):
                self._training.train(batches, steps)

    def loaded_batches(self, count: int) -> Iterator[LoadedBatch]:
        """The loader's next ``count`` batches, in place of being trained on."""
        for images, labels in islice(self._loaded, count):
            yield LoadedBatch(images.transpose(0, 3, 1, 2), labels.astype(np.int64))

    def synchronize(self) -> None:
        """All steps issued so far are finished."""
        jax.block_until_ready(self._training.results())

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        return self._training.take_metrics()

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy over the staged pairs in inference mode."""
        with jax.default_device(self._device):
            return self._training.evaluate(batches)

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, 10) logits of (B, C, H, W) images in inference mode, on the host."""
        pixels = images.astype(self._setup.precision, copy=False).transpose(0, 2, 3, 1)
        with jax.default_device(self._device):
            return np.asarray(self._training.logits(pixels))

    def device(self) -> str:
        """``cpu`` or ``gpu:N``, asked of every parameter."""
        return places(array.sharding for array in self._now().values())

    def result_device(self) -> str:
        """Likewise, asked of all that the latest training step left."""
        return places(array.sharding for array in self._training.results())

    def peak_device_memory_bytes(self) -> int | None:
        """The most that arrays took of the GPU at once; None on a CPU."""
        return peak_memory_bytes(self._device)

    def layers(self) -> list[LayerLine]:
        """Keras's layers in the order of ``Model.layers``; one with an activation counts as one."""
        return self._network.layers()

    def _now(self) -> dict[str, Any]:
        """Canonical name → array in Keras's layout, until the next step."""
        values = self._training.values()
        return {name: values[number] for name, number in self._numbers.items()}

    def _in_canonical_layout(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Canonical name → array: a copy, also where the layout is the same."""
        network_places = self._network.places
        return {
            name: jnp.copy(network_places[name].canonical(array)) for name, array in arrays.items()
        }
