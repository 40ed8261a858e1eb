"""The models as a Gluon user writes them. Read beside the other frameworks' ``models.py``.

Layer prefixes are the canonical layer names, so that ``collect_params`` speaks of
``conv1_weight`` where the rest of the suite says ``conv1.weight``. MXNet's own layout is the
canonical one: images (N, C, H, W), convolutions (out, in, height, width), dense kernels (out, in).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mxnet.gluon import nn


def lenet() -> Any:
    """LeNet-5 with sigmoids and max-pooling; (N, 1, 28, 28) in, (N, 10) logits out."""
    net = nn.HybridSequential(prefix="")
    net.add(
        nn.Conv2D(6, kernel_size=5, activation="sigmoid", in_channels=1, prefix="conv1_"),
        nn.MaxPool2D(pool_size=2, strides=2),
        nn.Conv2D(16, kernel_size=5, activation="sigmoid", in_channels=6, prefix="conv2_"),
        nn.MaxPool2D(pool_size=2, strides=2),
        nn.Flatten(),
        nn.Dense(120, activation="sigmoid", in_units=16 * 4 * 4, prefix="dense1_"),
        nn.Dense(84, activation="sigmoid", in_units=120, prefix="dense2_"),
        nn.Dense(10, in_units=84, prefix="dense3_"),
    )
    return net


MODELS: dict[str, Callable[[], Any]] = {"lenet": lenet}
"""Model name → constructor of a ``mxnet.gluon.HybridBlock``."""
