"""PyTorch's own data loader, used as its tutorials use it and as an expert does.

The only module that needs torchvision, for the tutorials' way: it is imported when such a loader is
opened.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from impls.adapter import LoaderKind, Setup


def endless_batches(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    setup: Setup,
    workers: int,
    kind: LoaderKind,
    device: Any,
) -> Iterator[tuple[Any, Any]]:
    """Epoch after epoch of shuffled batches: images (B, 1, H, W) float32 in [0, 1], labels (B,).

    ``images``: (N, H, W), resized where the model's are of another size; ``labels``: (N,). The
    last batch of an epoch is partial. ``workers`` processes of this process's group are started for
    each epoch (``loader``) or once (``pipeline``, where they help); each keeps to one thread, which
    is DataLoader's doing.

    Raises ``ValueError``: torchvision is not installed, and ``kind`` needs it.
    """
    height, width = setup.model.input_shape[1:]
    size = None if images.shape[1:] == (height, width) else (height, width)
    if kind == "loader":
        epochs = repeat(_tutorials_loader(images, labels, size, setup, workers))
        return ((x.to(device), y.to(device)) for x, y in chain.from_iterable(epochs))
    return (
        # Bytes are a quarter of what has to go through shared memory, and then to a GPU.
        (
            x.to(device, non_blocking=True).to(torch.float32).div_(255),
            y.to(device, non_blocking=True),
        )
        for x, y in _experts_loader(images, labels, size, setup, workers, device)
    )


def _tutorials_loader(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int] | None,
    setup: Setup,
    workers: int,
) -> Any:
    """torchvision's data set, with transforms of one image at a time; an iteration is an epoch.

    https://docs.pytorch.org/tutorials/beginner/basics/data_tutorial.html
    """
    try:
        from torchvision import datasets, transforms
    except ModuleNotFoundError as error:
        raise ValueError(
            f"No loader for pytorch ({error}): install requirements-cpu-loader.txt, "
            "or use --input resident"
        ) from None
    steps = [transforms.Resize(size)] if size else []
    with tempfile.TemporaryDirectory() as root:
        _write_as_torchvision_expects(Path(root, "FashionMNIST", "raw"), images, labels)
        # It reads its files once, whole.
        dataset = datasets.FashionMNIST(
            root, train=True, transform=transforms.Compose([*steps, transforms.ToTensor()])
        )
    return DataLoader(
        dataset,
        batch_size=setup.batch_size,
        shuffle=True,
        num_workers=workers,
        generator=torch.Generator().manual_seed(setup.seed),
    )


def _experts_loader(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int] | None,
    setup: Setup,
    workers: int,
    device: Any,
) -> Any:
    """Whole batches of bytes at a time; an iteration has no end, so that processes never restart.

    Gathering a small batch from a tensor takes less than handing it from process to process: with 2
    of them a quarter to an eighth as many came, so they are used where images are resized alone.
    https://docs.pytorch.org/docs/stable/data.html#disable-automatic-batching
    """
    workers = workers if size else 0
    return DataLoader(
        _Batches(images, labels, size),
        batch_size=None,
        sampler=_EndlessOrder(len(labels), setup.batch_size, setup.seed),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )


class _Batches(Dataset):  # type: ignore[misc, type-arg, unused-ignore]
    """A data set whose items are batches: an array of row numbers is an index."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        size: tuple[int, int] | None,
    ) -> None:
        self._images = torch.tensor(images[:, np.newaxis])
        self._labels = torch.tensor(labels.astype(np.int64))
        self._size = size

    def __getitem__(self, rows: NDArray[Any]) -> tuple[Any, Any]:
        chosen = torch.from_numpy(rows)
        pixels = self._images[chosen]
        if self._size:
            pixels = functional.interpolate(pixels, self._size, mode="bilinear")
        return pixels, self._labels[chosen]


class _EndlessOrder:
    """Row numbers of batch after batch, each an index of ``_Batches``."""

    def __init__(self, examples: int, batch_size: int, seed: int) -> None:
        self._examples = examples
        self._batch_size = batch_size
        self._seed = seed

    def __iter__(self) -> Iterator[NDArray[Any]]:
        generator = torch.Generator().manual_seed(self._seed)
        while True:
            order = torch.randperm(self._examples, generator=generator)
            # NumPy's arrays go to the processes by value, tensors through shared memory.
            yield from (rows.numpy() for rows in order.split(self._batch_size))


def _write_as_torchvision_expects(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> None:
    """``folder`` holds the four files of Fashion-MNIST, those of the test set empty."""
    folder.mkdir(parents=True)
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        with (folder / f"train-{name}-ubyte").open("wb") as file:
            file.write(bytes((0, 0, 8, array.ndim)))
            file.write(np.array(array.shape, ">u4").tobytes())
            np.ascontiguousarray(array).tofile(file)
        (folder / f"t10k-{name}-ubyte").touch()
