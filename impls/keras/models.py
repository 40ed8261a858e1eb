"""The models as a Keras user writes them. Read beside the other frameworks' ``models.py``.

Layer names are the canonical ones with ``_`` for ``.``: ``stage1_block1_conv1``. Keras keeps images
as (N, H, W, C), convolutions as (height, width, in, out) and dense kernels as (in, out); the
adapter converts.

Where a stride is above 1, padding is a layer of its own: with ``padding="same"`` TensorFlow would
put more of it below and to the right, https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
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


def lenet_avg() -> Any:
    """LeNet-5 with sigmoids and average-pooling; (N, 28, 28, 1) in, (N, 10) logits out."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, kernel_size=5, padding="same", activation="sigmoid", name="conv1"),
            layers.AveragePooling2D(pool_size=2, strides=2),
            layers.Conv2D(16, kernel_size=5, activation="sigmoid", name="conv2"),
            layers.AveragePooling2D(pool_size=2, strides=2),
            layers.Flatten(),
            layers.Dense(120, activation="sigmoid", name="dense1"),
            layers.Dense(84, activation="sigmoid", name="dense2"),
            layers.Dense(10, name="dense3"),
        ]
    )


def lenet_bn() -> Any:
    """LeNet-5 with BatchNorm before each sigmoid; (N, 28, 28, 1) in, (N, 10) logits out."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, kernel_size=5, name="conv1"),
            _batch_norm("bn1"),
            layers.Activation("sigmoid"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Conv2D(16, kernel_size=5, name="conv2"),
            _batch_norm("bn2"),
            layers.Activation("sigmoid"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Flatten(),
            layers.Dense(120, name="dense1"),
            _batch_norm("bn3"),
            layers.Activation("sigmoid"),
            layers.Dense(84, name="dense2"),
            _batch_norm("bn4"),
            layers.Activation("sigmoid"),
            layers.Dense(10, name="dense3"),
        ]
    )


def alexnet() -> Any:
    """AlexNet for grey images of ten classes; (N, 224, 224, 1) in, (N, 10) logits out."""
    return keras.Sequential(
        [
            keras.Input((224, 224, 1)),
            layers.Conv2D(96, kernel_size=11, strides=4, activation="relu", name="conv1"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            layers.Conv2D(256, kernel_size=5, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            layers.Conv2D(384, kernel_size=3, padding="same", activation="relu", name="conv3"),
            layers.Conv2D(384, kernel_size=3, padding="same", activation="relu", name="conv4"),
            layers.Conv2D(256, kernel_size=3, padding="same", activation="relu", name="conv5"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            layers.Flatten(),
            layers.Dense(4096, activation="relu", name="dense1"),
            layers.Dropout(0.5),
            layers.Dense(4096, activation="relu", name="dense2"),
            layers.Dropout(0.5),
            layers.Dense(10, name="dense3"),
        ]
    )


def vgg11_small() -> Any:
    """VGG-11 with a quarter of its channels; (N, 224, 224, 1) in, (N, 10) logits out."""
    return keras.Sequential(
        [
            keras.Input((224, 224, 1)),
            layers.Conv2D(16, kernel_size=3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Conv2D(32, kernel_size=3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Conv2D(64, kernel_size=3, padding="same", activation="relu", name="conv3"),
            layers.Conv2D(64, kernel_size=3, padding="same", activation="relu", name="conv4"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Conv2D(128, kernel_size=3, padding="same", activation="relu", name="conv5"),
            layers.Conv2D(128, kernel_size=3, padding="same", activation="relu", name="conv6"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Conv2D(128, kernel_size=3, padding="same", activation="relu", name="conv7"),
            layers.Conv2D(128, kernel_size=3, padding="same", activation="relu", name="conv8"),
            layers.MaxPooling2D(pool_size=2, strides=2),
            layers.Flatten(),
            layers.Dense(4096, activation="relu", name="dense1"),
            layers.Dropout(0.5),
            layers.Dense(4096, activation="relu", name="dense2"),
            layers.Dropout(0.5),
            layers.Dense(10, name="dense3"),
        ]
    )


def nin() -> Any:
    """Network in Network; (N, 224, 224, 1) in, (N, 10) logits out."""
    return keras.Sequential(
        [
            keras.Input((224, 224, 1)),
            *_nin_block(96, kernel_size=11, strides=4, name="block1"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            *_nin_block(256, kernel_size=5, padding="same", name="block2"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            *_nin_block(384, kernel_size=3, padding="same", name="block3"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            layers.Dropout(0.5),
            *_nin_block(10, kernel_size=3, padding="same", name="block4"),
            layers.GlobalAveragePooling2D(),
        ]
    )


def resnet18() -> Any:
    """ResNet-18; (N, 96, 96, 1) in, (N, 10) logits out."""
    inputs = keras.Input((96, 96, 1))
    x = _stem(inputs)
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        x = _residual_block(x, channels, halves=stage > 1, name=f"stage{stage}_block1")
        x = _residual_block(x, channels, halves=False, name=f"stage{stage}_block2")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="dense1")(x))


def densenet() -> Any:
    """DenseNet of four blocks of four convolutions; (N, 96, 96, 1) in, (N, 10) logits out."""
    inputs = keras.Input((96, 96, 1))
    x = _stem(inputs)
    for block in range(1, 5):
        for unit in range(1, 5):
            x = _dense_unit(x, growth=32, name=f"block{block}_unit{unit}")
        if block < 4:
            x = _transition(x, name=f"transition{block}")
    x = _batch_norm("bn2")(x)
    x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="dense1")(x))


def _residual_block(x: Any, channels: int, *, halves: bool, name: str) -> Any:
    """Two 3×3 convolutions with BatchNorm, added to the inputs, then ReLU.

    (N, H, W, C) in, (N, H, W, channels) out; where it ``halves`` height and width, the inputs go
    through a 1×1 convolution.
    """
    if halves:
        shortcut = layers.Conv2D(channels, kernel_size=1, strides=2, name=f"{name}_shortcut")(x)
        y = layers.ZeroPadding2D(1)(x)
        y = layers.Conv2D(channels, kernel_size=3, strides=2, name=f"{name}_conv1")(y)
    else:
        shortcut = x
        y = layers.Conv2D(channels, kernel_size=3, padding="same", name=f"{name}_conv1")(x)
    y = _batch_norm(f"{name}_bn1")(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(channels, kernel_size=3, padding="same", name=f"{name}_conv2")(y)
    y = _batch_norm(f"{name}_bn2")(y)
    return layers.ReLU()(layers.Add()([y, shortcut]))


def _dense_unit(x: Any, growth: int, *, name: str) -> Any:
    """BatchNorm, ReLU and a 3×3 convolution, whose outputs are put behind the inputs.

    (N, H, W, C) in, (N, H, W, C + growth) out.
    """
    y = _batch_norm(f"{name}_bn")(x)
    y = layers.ReLU()(y)
    y = layers.Conv2D(growth, kernel_size=3, padding="same", name=f"{name}_conv")(y)
    return layers.Concatenate()([x, y])


def _stem(x: Any) -> Any:
    """What ResNet and DenseNet begin with; (N, 96, 96, 1) in, (N, 24, 24, 64) out."""
    x = layers.ZeroPadding2D(3)(x)
    x = layers.Conv2D(64, kernel_size=7, strides=2, name="conv1")(x)
    x = _batch_norm("bn1")(x)
    x = layers.ReLU()(x)
    # After a ReLU nothing is below 0, so that a zero around the edge is never larger than the
    # largest value of a window; where it is as large, the ReLU lets no gradient through.
    x = layers.ZeroPadding2D(1)(x)
    return layers.MaxPooling2D(pool_size=3, strides=2)(x)


def _transition(x: Any, *, name: str) -> Any:
    """Fewer and smaller maps; (N, H, W, C) in, (N, H ÷ 2, W ÷ 2, C ÷ 2) out."""
    channels = x.shape[-1] // 2
    x = _batch_norm(f"{name}_bn")(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(channels, kernel_size=1, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(pool_size=2, strides=2)(x)


def _nin_block(channels: int, *, name: str, **window: Any) -> list[Any]:
    """A convolution with ``window`` and two of 1×1, each with ReLU."""
    return [
        layers.Conv2D(channels, **window, activation="relu", name=f"{name}_conv1"),
        layers.Conv2D(channels, kernel_size=1, activation="relu", name=f"{name}_conv2"),
        layers.Conv2D(channels, kernel_size=1, activation="relu", name=f"{name}_conv3"),
    ]


def _batch_norm(name: str) -> Any:
    """BatchNorm whose momentum is the share of the old running statistics in the new ones."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


MODELS: dict[str, Callable[[], Any]] = {
    "lenet": lenet,
    "lenet-avg": lenet_avg,
    "lenet-bn": lenet_bn,
    "alexnet": alexnet,
    "vgg11-small": vgg11_small,
    "nin": nin,
    "resnet18": resnet18,
    "densenet": densenet,
}
"""Model name → constructor of a ``keras.Model``."""
