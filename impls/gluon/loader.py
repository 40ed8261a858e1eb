"""Gluon's own data loader, used as its tutorials use it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
from mxnet import gluon, nd
from mxnet.gluon.data.vision import transforms
from numpy.typing import NDArray

from impls.adapter import Setup


def endless_batches(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], setup: Setup, workers: int
) -> Iterator[Any]:
    """Pairs of (B, 1, H, W) float32 in [0, 1] and (B,) int32, epoch after epoch without end.

    ``images``: (N, H, W) of any size; each is resized to the model's when it is asked for.
    ``workers`` processes of this process's group prepare batches ahead, two each; they end when
    the iterator is dropped, or with this process.
    https://mxnet.apache.org/versions/1.9.1/api/python/docs/tutorials/packages/gluon/data/datasets.html
    """
    # DataLoader shuffles by NumPy's global generator.
    np.random.seed(setup.seed)
    steps = [transforms.ToTensor()]
    height, width = setup.model.input_shape[1:]
    if images.shape[1:] != (height, width):
        steps.insert(0, transforms.Resize((width, height)))
    # Not nd.array: see the adapter's stage(). The types are those of gluon.data.vision.
    dataset = gluon.data.ArrayDataset(
        nd.from_numpy(images[..., np.newaxis].copy()), labels.astype(np.int32)
    )
    loader = gluon.data.DataLoader(
        dataset.transform_first(transforms.Compose(steps)),
        batch_size=setup.batch_size,
        shuffle=True,
        last_batch="keep",
        num_workers=workers,
    )
    return chain.from_iterable(repeat(loader))
