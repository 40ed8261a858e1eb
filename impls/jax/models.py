"""The models as a Flax NNX user writes them. Read beside the other frameworks' ``models.py``.

Attributes have the canonical layer names, nested where these hold dots. Flax keeps images as
(N, H, W, C), convolutions as (height, width, in, out) and dense kernels as (in, out); the adapter
converts. BatchNorm's ``momentum`` is the share of the old running statistics in the new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import nnx

BatchNorm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5)
averaged = partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2))
pooled = partial(nnx.max_pool, window_shape=(3, 3), strides=(2, 2))


def halved(x: Any) -> Any:
    """Max-pooling of 2 × 2: (N, H, W, C) in, (N, H ÷ 2, W ÷ 2, C) out, H and W being even.

    As the maximum over two axes, whose gradient is quick; that of ``nnx.max_pool``, which looks for
    each maximum again, takes a quarter of a step of LeNet on a CPU.
    """
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def flattened(x: Any) -> Any:
    """(N, H, W, C) in, (N, H · W · C) out."""
    return x.reshape(x.shape[0], -1)


def globally_averaged(x: Any) -> Any:
    """(N, H, W, C) in, (N, C) out."""
    return x.mean(axis=(1, 2))


def unchanged(x: Any) -> Any:
    """The shortcut of a residual block that keeps its shape."""
    return x


class Chain(nnx.Module):  # type: ignore[misc]
    """Layers and plain functions, one after the other, each under its own name."""

    def __init__(self, **layers: Any) -> None:
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.order = tuple(layers)

    def __call__(self, x: Any) -> Any:
        """What all of them make of ``x``."""
        for name in self.order:
            x = getattr(self, name)(x)
        return x


def lenet(rngs: Any) -> Any:
    """LeNet-5 with sigmoids and max-pooling; (N, 28, 28, 1) in, (N, 10) logits out."""
    return Chain(
        conv1=nnx.Conv(1, 6, kernel_size=(5, 5), padding="VALID", rngs=rngs),
        sigmoid1=nnx.sigmoid,
        pool1=halved,
        conv2=nnx.Conv(6, 16, kernel_size=(5, 5), padding="VALID", rngs=rngs),
        sigmoid2=nnx.sigmoid,
        pool2=halved,
        flatten=flattened,
        dense1=nnx.Linear(4 * 4 * 16, 120, rngs=rngs),
        sigmoid3=nnx.sigmoid,
        dense2=nnx.Linear(120, 84, rngs=rngs),
        sigmoid4=nnx.sigmoid,
        dense3=nnx.Linear(84, 10, rngs=rngs),
    )


def lenet_avg(rngs: Any) -> Any:
    """LeNet-5 with sigmoids and average-pooling; (N, 28, 28, 1) in, (N, 10) logits out."""
    return Chain(
        conv1=nnx.Conv(1, 6, kernel_size=(5, 5), padding=2, rngs=rngs),
        sigmoid1=nnx.sigmoid,
        pool1=averaged,
        conv2=nnx.Conv(6, 16, kernel_size=(5, 5), padding="VALID", rngs=rngs),
        sigmoid2=nnx.sigmoid,
        pool2=averaged,
        flatten=flattened,
        dense1=nnx.Linear(5 * 5 * 16, 120, rngs=rngs),
        sigmoid3=nnx.sigmoid,
        dense2=nnx.Linear(120, 84, rngs=rngs),
        sigmoid4=nnx.sigmoid,
        dense3=nnx.Linear(84, 10, rngs=rngs),
    )


def lenet_bn(rngs: Any) -> Any:
    """LeNet-5 with BatchNorm before each sigmoid; (N, 28, 28, 1) in, (N, 10) logits out."""
    return Chain(
        conv1=nnx.Conv(1, 6, kernel_size=(5, 5), padding="VALID", rngs=rngs),
        bn1=BatchNorm(6, rngs=rngs),
        sigmoid1=nnx.sigmoid,
        pool1=halved,
        conv2=nnx.Conv(6, 16, kernel_size=(5, 5), padding="VALID", rngs=rngs),
        bn2=BatchNorm(16, rngs=rngs),
        sigmoid2=nnx.sigmoid,
        pool2=halved,
        flatten=flattened,
        dense1=nnx.Linear(4 * 4 * 16, 120, rngs=rngs),
        bn3=BatchNorm(120, rngs=rngs),
        sigmoid3=nnx.sigmoid,
        dense2=nnx.Linear(120, 84, rngs=rngs),
        bn4=BatchNorm(84, rngs=rngs),
        sigmoid4=nnx.sigmoid,
        dense3=nnx.Linear(84, 10, rngs=rngs),
    )


def alexnet(rngs: Any) -> Any:
    """AlexNet for grey images of ten classes; (N, 224, 224, 1) in, (N, 10) logits out."""
    return Chain(
        conv1=nnx.Conv(1, 96, kernel_size=(11, 11), strides=4, padding="VALID", rngs=rngs),
        relu1=nnx.relu,
        pool1=pooled,
        conv2=nnx.Conv(96, 256, kernel_size=(5, 5), padding=2, rngs=rngs),
        relu2=nnx.relu,
        pool2=pooled,
        conv3=nnx.Conv(256, 384, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu3=nnx.relu,
        conv4=nnx.Conv(384, 384, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu4=nnx.relu,
        conv5=nnx.Conv(384, 256, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu5=nnx.relu,
        pool3=pooled,
        flatten=flattened,
        dense1=nnx.Linear(5 * 5 * 256, 4096, rngs=rngs),
        relu6=nnx.relu,
        dropout1=nnx.Dropout(0.5, rngs=rngs),
        dense2=nnx.Linear(4096, 4096, rngs=rngs),
        relu7=nnx.relu,
        dropout2=nnx.Dropout(0.5, rngs=rngs),
        dense3=nnx.Linear(4096, 10, rngs=rngs),
    )


def vgg11_small(rngs: Any) -> Any:
    """VGG-11 with a quarter of its channels; (N, 224, 224, 1) in, (N, 10) logits out."""
    return Chain(
        conv1=nnx.Conv(1, 16, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu1=nnx.relu,
        pool1=halved,
        conv2=nnx.Conv(16, 32, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu2=nnx.relu,
        pool2=halved,
        conv3=nnx.Conv(32, 64, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu3=nnx.relu,
        conv4=nnx.Conv(64, 64, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu4=nnx.relu,
        pool3=halved,
        conv5=nnx.Conv(64, 128, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu5=nnx.relu,
        conv6=nnx.Conv(128, 128, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu6=nnx.relu,
        pool4=halved,
        conv7=nnx.Conv(128, 128, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu7=nnx.relu,
        conv8=nnx.Conv(128, 128, kernel_size=(3, 3), padding=1, rngs=rngs),
        relu8=nnx.relu,
        pool5=halved,
        flatten=flattened,
        dense1=nnx.Linear(7 * 7 * 128, 4096, rngs=rngs),
        relu9=nnx.relu,
        dropout1=nnx.Dropout(0.5, rngs=rngs),
        dense2=nnx.Linear(4096, 4096, rngs=rngs),
        relu10=nnx.relu,
        dropout2=nnx.Dropout(0.5, rngs=rngs),
        dense3=nnx.Linear(4096, 10, rngs=rngs),
    )


def nin(rngs: Any) -> Any:
    """Network in Network; (N, 224, 224, 1) in, (N, 10) logits out."""
    return Chain(
        block1=_nin_block(1, 96, rngs, kernel_size=(11, 11), strides=4, padding="VALID"),
        pool1=pooled,
        block2=_nin_block(96, 256, rngs, kernel_size=(5, 5), padding=2),
        pool2=pooled,
        block3=_nin_block(256, 384, rngs, kernel_size=(3, 3), padding=1),
        pool3=pooled,
        dropout=nnx.Dropout(0.5, rngs=rngs),
        block4=_nin_block(384, 10, rngs, kernel_size=(3, 3), padding=1),
        pool4=globally_averaged,
    )


def resnet18(rngs: Any) -> Any:
    """ResNet-18; (N, 96, 96, 1) in, (N, 10) logits out."""
    return Chain(
        **_stem(rngs),
        stage1=_stage(64, 64, stride=1, rngs=rngs),
        stage2=_stage(64, 128, stride=2, rngs=rngs),
        stage3=_stage(128, 256, stride=2, rngs=rngs),
        stage4=_stage(256, 512, stride=2, rngs=rngs),
        pool2=globally_averaged,
        dense1=nnx.Linear(512, 10, rngs=rngs),
    )


def densenet(rngs: Any) -> Any:
    """DenseNet of four blocks of four convolutions; (N, 96, 96, 1) in, (N, 10) logits out."""
    return Chain(
        **_stem(rngs),
        block1=_dense_block(64, rngs),
        transition1=_transition(192, 96, rngs),
        block2=_dense_block(96, rngs),
        transition2=_transition(224, 112, rngs),
        block3=_dense_block(112, rngs),
        transition3=_transition(240, 120, rngs),
        block4=_dense_block(120, rngs),
        bn2=BatchNorm(248, rngs=rngs),
        relu2=nnx.relu,
        pool2=globally_averaged,
        dense1=nnx.Linear(248, 10, rngs=rngs),
    )


class ResidualBlock(nnx.Module):  # type: ignore[misc]
    """Two 3×3 convolutions with BatchNorm, added to the inputs, then ReLU.

    (N, H, W, in_channels) in, (N, H ÷ stride, W ÷ stride, channels) out; where that isn't the same
    shape, the inputs go through a 1×1 convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, rngs: Any) -> None:
        self.conv1 = nnx.Conv(
            in_channels, channels, kernel_size=(3, 3), strides=stride, padding=1, rngs=rngs
        )
        self.bn1 = BatchNorm(channels, rngs=rngs)
        self.conv2 = nnx.Conv(channels, channels, kernel_size=(3, 3), padding=1, rngs=rngs)
        self.bn2 = BatchNorm(channels, rngs=rngs)
        self.shortcut = (
            unchanged
            if in_channels == channels
            else nnx.Conv(in_channels, channels, kernel_size=(1, 1), strides=stride, rngs=rngs)
        )

    def __call__(self, x: Any) -> Any:
        """What both ways make of ``x``, added, without what is below 0."""
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return nnx.relu(y + self.shortcut(x))


class DenseUnit(nnx.Module):  # type: ignore[misc]
    """BatchNorm, ReLU and a 3×3 convolution, whose outputs are put behind the inputs.

    (N, H, W, in_channels) in, (N, H, W, in_channels + growth) out.
    """

    def __init__(self, in_channels: int, growth: int, rngs: Any) -> None:
        self.bn = BatchNorm(in_channels, rngs=rngs)
        self.conv = nnx.Conv(in_channels, growth, kernel_size=(3, 3), padding=1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        """``x`` and what the convolution makes of it, along the channels."""
        y = self.conv(nnx.relu(self.bn(x)))
        return jnp.concatenate([x, y], axis=-1)


def _stem(rngs: Any) -> dict[str, Any]:
    """What ResNet and DenseNet begin with; (N, 96, 96, 1) in, (N, 24, 24, 64) out."""
    return {
        "conv1": nnx.Conv(1, 64, kernel_size=(7, 7), strides=2, padding=3, rngs=rngs),
        "bn1": BatchNorm(64, rngs=rngs),
        "relu1": nnx.relu,
        "pool1": partial(pooled, padding=((1, 1), (1, 1))),
    }


def _stage(in_channels: int, channels: int, stride: int, rngs: Any) -> Any:
    """Two blocks; (N, H, W, in_channels) in, (N, H ÷ stride, W ÷ stride, channels) out."""
    return Chain(
        block1=ResidualBlock(in_channels, channels, stride, rngs),
        block2=ResidualBlock(channels, channels, 1, rngs),
    )


def _dense_block(in_channels: int, rngs: Any) -> Any:
    """Four units; (N, H, W, in_channels) in, (N, H, W, in_channels + 4 · 32) out."""
    return Chain(
        unit1=DenseUnit(in_channels, 32, rngs),
        unit2=DenseUnit(in_channels + 32, 32, rngs),
        unit3=DenseUnit(in_channels + 64, 32, rngs),
        unit4=DenseUnit(in_channels + 96, 32, rngs),
    )


def _transition(in_channels: int, channels: int, rngs: Any) -> Any:
    """Fewer and smaller maps; (N, H, W, in_channels) in, (N, H ÷ 2, W ÷ 2, channels) out."""
    return Chain(
        bn=BatchNorm(in_channels, rngs=rngs),
        relu=nnx.relu,
        conv=nnx.Conv(in_channels, channels, kernel_size=(1, 1), rngs=rngs),
        pool=averaged,
    )


def _nin_block(in_channels: int, channels: int, rngs: Any, **window: Any) -> Any:
    """A convolution with ``window`` and two of 1×1, each with ReLU."""
    return Chain(
        conv1=nnx.Conv(in_channels, channels, **window, rngs=rngs),
        relu1=nnx.relu,
        conv2=nnx.Conv(channels, channels, kernel_size=(1, 1), rngs=rngs),
        relu2=nnx.relu,
        conv3=nnx.Conv(channels, channels, kernel_size=(1, 1), rngs=rngs),
        relu3=nnx.relu,
    )


MODELS: dict[str, Callable[[Any], Any]] = {
    "lenet": lenet,
    "lenet-avg": lenet_avg,
    "lenet-bn": lenet_bn,
    "alexnet": alexnet,
    "vgg11-small": vgg11_small,
    "nin": nin,
    "resnet18": resnet18,
    "densenet": densenet,
}
"""Model name → constructor of an ``nnx.Module``, which draws from an ``nnx.Rngs``."""
