"""The models as a Keras user writes them. Read beside the other frameworks' ``models.py``.

Layer names are the canonical ones. Keras keeps images as (N, H, W, C), convolutions as
(height, width, in, out) and dense kernels as (in, out); the adapter converts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers


def lenet() -> Any:
    """LeNet-5 with sigmoids and max-pooling; (N, 28, 28, 1) in, (N, 10) logits out."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, kernel_size=5, activation="sigmoid", name="conv1"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Conv2D(16, kernel_size=5, activation="sigmoid", name="conv2"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Flatten(),
            layers.Dense(120, activation="sigmoid", name="dense1"),
            layers.Dense(84, activation="sigmoid", name="dense2"),
            layers.Dense(10, name="dense3"),
        ]
    )


MODELS: dict[str, Callable[[], Any]] = {"lenet": lenet}
"""Model name → constructor of a ``keras.Model``."""
