"""The models as a Gluon user writes them. Read beside the other frameworks' ``models.py``.

Layer prefixes are the canonical layer names with ``_`` for a dot, so that ``collect_params`` speaks
of ``stage1_block1_conv1_weight`` where the rest of the suite says ``stage1.block1.conv1.weight``.
MXNet's own layout is the canonical one: images (N, C, H, W), convolutions (out, in, height, width),
dense kernels (out, in). Shapes in comments are of one image: (C, H, W).
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


def lenet_avg() -> Any:
    """LeNet-5 with sigmoids and average-pooling; (N, 1, 28, 28) in, (N, 10) logits out."""
    net = nn.HybridSequential(prefix="")
    net.add(
        nn.Conv2D(
            6, kernel_size=5, padding=2, activation="sigmoid", in_channels=1, prefix="conv1_"
        ),
        nn.AvgPool2D(pool_size=2, strides=2),
        nn.Conv2D(16, kernel_size=5, activation="sigmoid", in_channels=6, prefix="conv2_"),
        nn.AvgPool2D(pool_size=2, strides=2),
        nn.Flatten(),
        nn.Dense(120, activation="sigmoid", in_units=16 * 5 * 5, prefix="dense1_"),
        nn.Dense(84, activation="sigmoid", in_units=120, prefix="dense2_"),
        nn.Dense(10, in_units=84, prefix="dense3_"),
    )
    return net


def lenet_bn() -> Any:
    """LeNet-5 with BatchNorm before each sigmoid; (N, 1, 28, 28) in, (N, 10) logits out."""
    net = nn.HybridSequential(prefix="")
    net.add(
        nn.Conv2D(6, kernel_size=5, in_channels=1, prefix="conv1_"),
        _batch_norm(6, prefix="bn1_"),
        nn.Activation("sigmoid"),
        nn.MaxPool2D(pool_size=2, strides=2),
        nn.Conv2D(16, kernel_size=5, in_channels=6, prefix="conv2_"),
        _batch_norm(16, prefix="bn2_"),
        nn.Activation("sigmoid"),
        nn.MaxPool2D(pool_size=2, strides=2),
        nn.Flatten(),
        nn.Dense(120, in_units=16 * 4 * 4, prefix="dense1_"),
        _batch_norm(120, prefix="bn3_"),
        nn.Activation("sigmoid"),
        nn.Dense(84, in_units=120, prefix="dense2_"),
        _batch_norm(84, prefix="bn4_"),
        nn.Activation("sigmoid"),
        nn.Dense(10, in_units=84, prefix="dense3_"),
    )
    return net


def alexnet() -> Any:
    """AlexNet for grey images of ten classes; (N, 1, 224, 224) in, (N, 10) logits out."""
    net = nn.HybridSequential(prefix="")
    net.add(
        _conv_relu(1, 96, kernel_size=11, strides=4, prefix="conv1_"),  # (96, 54, 54)
        nn.MaxPool2D(pool_size=3, strides=2),  # (96, 26, 26)
        _conv_relu(96, 256, kernel_size=5, padding=2, prefix="conv2_"),
        nn.MaxPool2D(pool_size=3, strides=2),  # (256, 12, 12)
        _conv_relu(256, 384, kernel_size=3, padding=1, prefix="conv3_"),
        _conv_relu(384, 384, kernel_size=3, padding=1, prefix="conv4_"),
        _conv_relu(384, 256, kernel_size=3, padding=1, prefix="conv5_"),
        nn.MaxPool2D(pool_size=3, strides=2),  # (256, 5, 5)
        nn.Flatten(),
        nn.Dense(4096, activation="relu", in_units=256 * 5 * 5, prefix="dense1_"),
        nn.Dropout(0.5),
        nn.Dense(4096, activation="relu", in_units=4096, prefix="dense2_"),
        nn.Dropout(0.5),
        nn.Dense(10, in_units=4096, prefix="dense3_"),
    )
    return net


def vgg11_small() -> Any:
    """VGG-11 with a quarter of its channels; (N, 1, 224, 224) in, (N, 10) logits out."""
    net = nn.HybridSequential(prefix="")
    net.add(
        _conv_relu(1, 16, kernel_size=3, padding=1, prefix="conv1_"),
        nn.MaxPool2D(pool_size=2, strides=2),  # (16, 112, 112)
        _conv_relu(16, 32, kernel_size=3, padding=1, prefix="conv2_"),
        nn.MaxPool2D(pool_size=2, strides=2),  # (32, 56, 56)
        _conv_relu(32, 64, kernel_size=3, padding=1, prefix="conv3_"),
        _conv_relu(64, 64, kernel_size=3, padding=1, prefix="conv4_"),
        nn.MaxPool2D(pool_size=2, strides=2),  # (64, 28, 28)
        _conv_relu(64, 128, kernel_size=3, padding=1, prefix="conv5_"),
        _conv_relu(128, 128, kernel_size=3, padding=1, prefix="conv6_"),
        nn.MaxPool2D(pool_size=2, strides=2),  # (128, 14, 14)
        _conv_relu(128, 128, kernel_size=3, padding=1, prefix="conv7_"),
        _conv_relu(128, 128, kernel_size=3, padding=1, prefix="conv8_"),
        nn.MaxPool2D(pool_size=2, strides=2),  # (128, 7, 7)
        nn.Flatten(),
        nn.Dense(4096, activation="relu", in_units=128 * 7 * 7, prefix="dense1_"),
        nn.Dropout(0.5),
        nn.Dense(4096, activation="relu", in_units=4096, prefix="dense2_"),
        nn.Dropout(0.5),
        nn.Dense(10, in_units=4096, prefix="dense3_"),
    )
    return net


def nin() -> Any:
    """Network in Network; (N, 1, 224, 224) in, (N, 10) logits out."""
    net = nn.HybridSequential(prefix="")
    net.add(
        _nin_block(1, 96, kernel_size=11, strides=4, prefix="block1_"),  # (96, 54, 54)
        nn.MaxPool2D(pool_size=3, strides=2),  # (96, 26, 26)
        _nin_block(96, 256, kernel_size=5, padding=2, prefix="block2_"),
        nn.MaxPool2D(pool_size=3, strides=2),  # (256, 12, 12)
        _nin_block(256, 384, kernel_size=3, padding=1, prefix="block3_"),
        nn.MaxPool2D(pool_size=3, strides=2),  # (384, 5, 5)
        nn.Dropout(0.5),
        _nin_block(384, 10, kernel_size=3, padding=1, prefix="block4_"),
        nn.GlobalAvgPool2D(),  # (10, 1, 1)
        nn.Flatten(),
    )
    return net


def resnet18() -> Any:
    """ResNet-18; (N, 1, 96, 96) in, (N, 10) logits out."""
    net = _stem()
    in_channels = 64
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        strides = 1 if stage == 1 else 2
        net.add(
            ResidualBlock(in_channels, channels, strides, prefix=f"stage{stage}_block1_"),
            ResidualBlock(channels, channels, prefix=f"stage{stage}_block2_"),
        )
        in_channels = channels
    net.add(nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(10, in_units=512, prefix="dense1_"))
    return net


def densenet() -> Any:
    """DenseNet of four blocks of four convolutions; (N, 1, 96, 96) in, (N, 10) logits out."""
    net = _stem()
    channels, growth = 64, 32
    for block in range(1, 5):
        for unit in range(1, 5):
            net.add(DenseUnit(channels, growth, prefix=f"block{block}_unit{unit}_"))
            channels += growth
        if block < 4:
            net.add(_transition(channels, channels // 2, prefix=f"transition{block}_"))
            channels //= 2
    net.add(
        _batch_norm(channels, prefix="bn2_"),
        nn.Activation("relu"),
        nn.GlobalAvgPool2D(),
        nn.Flatten(),
        nn.Dense(10, in_units=channels, prefix="dense1_"),
    )
    return net


class ResidualBlock(nn.HybridBlock):  # type: ignore[misc]
    """Two 3×3 convolutions with BatchNorm, added to the inputs, then ReLU.

    (N, in_channels, H, W) in, (N, channels, H ÷ strides, W ÷ strides) out; where that isn't the
    same shape, the inputs go through a 1×1 convolution.
    """

    def __init__(self, in_channels: int, channels: int, strides: int = 1, *, prefix: str) -> None:
        super().__init__(prefix=prefix)
        with self.name_scope():
            self.body = nn.HybridSequential(prefix="")
            self.body.add(
                nn.Conv2D(
                    channels,
                    kernel_size=3,
                    strides=strides,
                    padding=1,
                    in_channels=in_channels,
                    prefix="conv1_",
                ),
                _batch_norm(channels, prefix="bn1_"),
                nn.Activation("relu"),
                nn.Conv2D(
                    channels, kernel_size=3, padding=1, in_channels=channels, prefix="conv2_"
                ),
                _batch_norm(channels, prefix="bn2_"),
            )
            self.shortcut = None
            if (in_channels, strides) != (channels, 1):
                self.shortcut = nn.Conv2D(
                    channels,
                    kernel_size=1,
                    strides=strides,
                    in_channels=in_channels,
                    prefix="shortcut_",
                )
            self.relu = nn.Activation("relu")

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """What the body makes of ``x``, plus ``x``, without what is below 0."""
        return self.relu(self.body(x) + (self.shortcut(x) if self.shortcut else x))


class DenseUnit(nn.HybridBlock):  # type: ignore[misc]
    """BatchNorm, ReLU and a 3×3 convolution, whose outputs are put behind the inputs.

    (N, in_channels, H, W) in, (N, in_channels + growth, H, W) out.
    """

    def __init__(self, in_channels: int, growth: int, *, prefix: str) -> None:
        super().__init__(prefix=prefix)
        with self.name_scope():
            self.body = nn.HybridSequential(prefix="")
            self.body.add(
                _batch_norm(in_channels, prefix="bn_"),
                nn.Activation("relu"),
                nn.Conv2D(
                    growth, kernel_size=3, padding=1, in_channels=in_channels, prefix="conv_"
                ),
            )

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """``x`` and what the body makes of it, along the channels."""
        return F.concat(x, self.body(x), dim=1)


def _stem() -> Any:
    """What ResNet and DenseNet begin with; (N, 1, 96, 96) in, (N, 64, 24, 24) out."""
    net = nn.HybridSequential(prefix="")
    net.add(
        nn.Conv2D(64, kernel_size=7, strides=2, padding=3, in_channels=1, prefix="conv1_"),
        _batch_norm(64, prefix="bn1_"),
        nn.Activation("relu"),
        nn.MaxPool2D(pool_size=3, strides=2, padding=1),
    )
    return net


def _transition(in_channels: int, channels: int, prefix: str) -> Any:
    """Fewer and smaller maps; (N, in_channels, H, W) in, (N, channels, H ÷ 2, W ÷ 2) out."""
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            _batch_norm(in_channels, prefix="bn_"),
            nn.Activation("relu"),
            nn.Conv2D(channels, kernel_size=1, in_channels=in_channels, prefix="conv_"),
            nn.AvgPool2D(pool_size=2, strides=2),
        )
    return net


def _nin_block(in_channels: int, channels: int, prefix: str, **window: int) -> Any:
    """A convolution with ``window`` and two of 1×1, each with ReLU."""
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            _conv_relu(in_channels, channels, prefix="conv1_", **window),
            _conv_relu(channels, channels, prefix="conv2_", kernel_size=1),
            _conv_relu(channels, channels, prefix="conv3_", kernel_size=1),
        )
    return net


def _conv_relu(in_channels: int, channels: int, prefix: str, **window: int) -> Any:
    """A convolution with ReLU; ``window`` is its kernel_size, strides and padding."""
    return nn.Conv2D(channels, activation="relu", in_channels=in_channels, prefix=prefix, **window)


def _batch_norm(channels: int, prefix: str) -> Any:
    """BatchNorm whose momentum is the share of the old running statistics in the new ones."""
    return nn.BatchNorm(epsilon=1e-5, momentum=0.9, in_channels=channels, prefix=prefix)


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
"""Model name → constructor of a ``mxnet.gluon.HybridBlock``."""
