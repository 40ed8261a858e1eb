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
    # Made as gluon.data.vision makes its own: by nd.array, with these types. With nd.from_numpy two
    # loader processes of two OpenMP threads were 20 to 70 times slower on 2 cores: each thread
    # waited awake for the others of its team, as libgomp saw fewer threads than cores in each
    # process (GOMP_SPINCOUNT=0 made both alike). nd.array has it count a second team: the adapter's
    # stage() says how.
    dataset = gluon.data.ArrayDataset(
        nd.array(images[..., np.newaxis], dtype=images.dtype), labels.astype(np.int32)
    )
    loader = gluon.data.DataLoader(
        dataset.transform_first(transforms.Compose(steps)),
        batch_size=setup.batch_size,
        shuffle=True,
        last_batch="keep",
        num_workers=workers,
    )
    return chain.from_iterable(repeat(loader))
