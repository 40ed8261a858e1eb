"""torchvision's data loader over the suite's arrays, set up as PyTorch's tutorials do it.

The only module that needs torchvision: it is imported when a loader is opened.
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
from torch.utils.data import DataLoader

from impls.adapter import Setup


def endless_batches(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], setup: Setup, workers: int
) -> Iterator[tuple[Any, Any]]:
    """Epoch after epoch of shuffled batches: images (B, 1, H, W) float32 in [0, 1], labels (B,).

    ``images``: (N, H, W), resized where the model's are of another size; ``labels``: (N,). The
    last batch of an epoch is partial. ``workers`` processes are started for each epoch, in this
    process's group; each keeps to one thread, which is DataLoader's doing.
    https://docs.pytorch.org/tutorials/beginner/basics/data_tutorial.html

    Raises ``ValueError``: torchvision is not installed.
    """
    try:
        from torchvision import datasets, transforms
    except ModuleNotFoundError as error:
        raise ValueError(
            f"No loader for pytorch ({error}): install requirements-cpu-loader.txt, "
            "or use --input resident"
        ) from None
    steps = [transforms.ToTensor()]
    if images.shape[1:] != setup.model.input_shape[1:]:
        steps.insert(0, transforms.Resize(setup.model.input_shape[1:]))
    with tempfile.TemporaryDirectory() as root:
        _write_as_torchvision_expects(Path(root, "FashionMNIST", "raw"), images, labels)
        # It reads its files once, whole.
        dataset = datasets.FashionMNIST(root, train=True, transform=transforms.Compose(steps))
    loader = DataLoader(
        dataset,
        batch_size=setup.batch_size,
        shuffle=True,
        num_workers=workers,
        generator=torch.Generator().manual_seed(setup.seed),
    )
    return chain.from_iterable(repeat(loader))


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
