"""Gluon's own data loader, used as its tutorials use it and as an expert does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np
from mxnet import gluon, nd
from mxnet.gluon.data.vision import transforms
from numpy.typing import NDArray

from impls.adapter import LoaderKind, Setup


def endless_batches(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    setup: Setup,
    workers: int,
    kind: LoaderKind,
) -> Iterator[Any]:
    """Pairs of (B, 1, H, W) float32 in [0, 1] and (B,) labels, epoch after epoch without end.

    ``images``: (N, H, W) of any size; each is resized to the model's when it is asked for.
    ``workers`` processes of this process's group (``loader``) or threads (``pipeline``) prepare
    batches ahead, two each; they end when the iterator is dropped, or with this process.
    """
    height, width = setup.model.input_shape[1:]
    size = None if images.shape[1:] == (height, width) else (width, height)
    made = {"loader": _tutorials_loader, "pipeline": _experts_loader}[kind]
    return chain.from_iterable(repeat(made(images, labels, size, setup, workers)))


def _tutorials_loader(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int] | None,
    setup: Setup,
    workers: int,
) -> Any:
    """Transforms of one image at a time; an iteration is an epoch. Labels are int32.

    https://mxnet.apache.org/versions/1.9.1/api/python/docs/tutorials/packages/gluon/data/datasets.html
    """
    # DataLoader shuffles by NumPy's global generator.
    np.random.seed(setup.seed)
    steps = [transforms.Resize(size)] if size else []
    # Made as gluon.data.vision makes its own: by nd.array, with these types. With nd.from_numpy two
    # loader processes of two OpenMP threads were 20 to 70 times slower on 2 cores: each thread
    # waited awake for the others of its team, as libgomp saw fewer threads than cores in each
    # process (GOMP_SPINCOUNT=0 made both alike). nd.array has it count a second team: the adapter's
    # stage() says how.
    dataset = gluon.data.ArrayDataset(
        nd.array(images[..., np.newaxis], dtype=images.dtype), labels.astype(np.int32)
    )
    return gluon.data.DataLoader(
        dataset.transform_first(transforms.Compose([*steps, transforms.ToTensor()])),
        batch_size=setup.batch_size,
        shuffle=True,
        last_batch="keep",
        num_workers=workers,
    )


def _experts_loader(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: tuple[int, int] | None,
    setup: Setup,
    workers: int,
) -> Any:
    """Whole batches at a time; an iteration has no end. Labels are float32, as the loss wants them.

    Threads, not processes: NumPy gathers and scales a batch outside of Python's lock, and nothing
    has to go through shared memory.
    """
    return gluon.data.DataLoader(
        _Batches(images, labels, size),
        batch_sampler=_EndlessOrder(len(labels), setup.batch_size, setup.seed),
        batchify_fn=itemgetter(0),
        num_workers=workers,
        thread_pool=True,
    )


class _Batches(gluon.data.Dataset):  # type: ignore[misc]
    """A data set whose items are batches: an array of row numbers is an index."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        size: tuple[int, int] | None,
    ) -> None:
        self._images = np.array(images)
        self._labels = labels.astype(np.float32)
        self._size = size

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, rows: NDArray[Any]) -> tuple[Any, Any]:
        pixels, labels = self._images[rows], nd.from_numpy(self._labels[rows])
        if self._size:
            resized = nd.image.resize(nd.from_numpy(pixels[..., np.newaxis]), self._size, interp=1)
            return nd.image.to_tensor(resized), labels
        # Not to_tensor: it would take its turn on the engine's thread, where the model trains.
        scaled = np.divide(pixels, np.float32(255), dtype=np.float32)
        return nd.from_numpy(scaled[:, np.newaxis]), labels


class _EndlessOrder:
    """Row numbers of batch after batch, each as a list of one index of ``_Batches``."""

    def __init__(self, examples: int, batch_size: int, seed: int) -> None:
        self._random = np.random.RandomState(seed)
        self._examples = examples
        self._starts = range(0, examples, batch_size)

    def __iter__(self) -> Iterator[list[NDArray[Any]]]:
        while True:
            order = self._random.permutation(self._examples)
            for start in self._starts:
                yield [order[start : start + self._starts.step]]
