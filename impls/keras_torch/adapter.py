"""Keras on PyTorch behind the suite's ``Adapter``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np
import torch
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
from impls.keras.network import Network, require
from impls.keras_torch.training import FitTraining, Training, WrittenTraining
from impls.pytorch.loader import endless_batches
from impls.pytorch.machine import device_named, peak_memory_bytes, places, set_matched

MODES = ("eager", "fit")


def create(setup: Setup) -> LoadingAdapter:
    """The adapter of ``setup``'s model on its device, with PyTorch set to its threads.

    Raises ``ValueError``: unknown model or mode, or a device that is not there.
    """
    require(setup, "torch", "keras_torch", MODES)
    device = device_named(setup.device)
    set_matched(setup.threads)
    with keras.device(str(device)):
        return KerasTorchAdapter(setup, device)


class KerasTorchAdapter:
    """A Keras model, its optimizer and its sums on one device, in canonical weights."""

    def __init__(self, setup: Setup, device: Any) -> None:
        self._setup = setup
        self._device = device
        self._dtype = getattr(torch, setup.precision)
        self._network = Network(setup)
        self._training: Training = (
            FitTraining(self._network)
            if setup.mode == "fit"
            else WrittenTraining(self._network, device)
        )
        self._loaded: Iterator[tuple[Any, Any]] = iter(())

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0.

        Dropout masks start again from ``Setup.seed``.
        """
        with keras.device(str(self._device)), torch.no_grad():
            self._network.load(weights)
        self.take_metrics()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → array of the setup's precision on the host, a copy."""
        return self._network.weights()

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """A list of (images, labels) tensors on the device, one pair per step: (B, H, W, C)."""
        return list(zip(self._pixels(images).unbind(), self._answers(labels).unbind(), strict=True))

    def train(self, batches: Any) -> None:
        """One optimizer step per pair has been issued, and its loss and hits are added up."""
        with keras.device(str(self._device)):
            self._training.train(batches, len(batches))

    def open_loader(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        workers: int,
        kind: LoaderKind,
    ) -> None:
        """A ``DataLoader`` is set up over (N, H, W) images and (N,) labels, as for PyTorch."""
        self._loaded = endless_batches(images, labels, self._setup, workers, kind, self._device)

    def train_from_loader(self, steps: int) -> None:
        """One optimizer step for each of the loader's next ``steps`` batches has been issued."""
        batches = (
            (_channels_last(images.to(self._device, self._dtype)), labels.to(self._device))
            for images, labels in islice(self._loaded, steps)
        )
        if steps:  # fit refuses to have no batches
            with keras.device(str(self._device)):
                self._training.train(batches, steps)

    def loaded_batches(self, count: int) -> Iterator[LoadedBatch]:
        """The loader's next ``count`` batches on the host, in place of being trained on."""
        for images, labels in islice(self._loaded, count):
            yield LoadedBatch(images.cpu().numpy(), labels.cpu().numpy())

    def synchronize(self) -> None:
        """All work issued so far is finished, in all of a GPU's streams; on a CPU it always is."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        return self._training.take_metrics()

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy over the staged pairs in inference mode."""
        with keras.device(str(self._device)):
            return self._training.evaluate(batches)

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, 10) logits of (B, C, H, W) images in inference mode, on the host."""
        with keras.device(str(self._device)):
            array: NDArray[Any] = self._training.logits(self._pixels(images))
        return array

    def device(self) -> str:
        """``cpu`` or ``gpu:N``, asked of every parameter."""
        return places(variable.value for variable in self._network.model.trainable_variables)

    def result_device(self) -> str:
        """Likewise, asked of the gradients that the latest step left; empty before the first."""
        values = [variable.value for variable in self._network.model.trainable_variables]
        return places(value.grad for value in values if value.grad is not None)

    def peak_device_memory_bytes(self) -> int | None:
        """The most that tensors took of the GPU at once; None on a CPU."""
        return peak_memory_bytes(self._device)

    def layers(self) -> list[LayerLine]:
        """Keras's layers in the order of ``Model.layers``; one with an activation counts as one."""
        return self._network.layers()

    def _pixels(self, images: NDArray[np.float32]) -> Any:
        """(…, C, H, W) images as a tensor (…, H, W, C) on the device."""
        pixels = torch.from_numpy(images).to(self._device, self._dtype)
        return _channels_last(pixels)

    def _answers(self, labels: NDArray[np.int64]) -> Any:
        return torch.from_numpy(labels).to(self._device)


def _channels_last(images: Any) -> Any:
    """(…, C, H, W) as (…, H, W, C), in memory too."""
    return images.movedim(-3, -1).contiguous()
