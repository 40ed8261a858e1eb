"""The models as a PyTorch user writes them. Read beside the other frameworks' ``models.py``.

Module names are the canonical layer names, nested where these hold dots, so that ``state_dict``
speaks of ``conv1.weight`` and ``stage1.block1.bn1.running_mean`` as the rest of the suite does.
PyTorch's own layout is the canonical one: images (N, C, H, W), convolutions (out, in, height,
width), dense kernels (out, in).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def lenet() -> Any:
    """LeNet-5 with sigmoids and max-pooling; (N, 1, 28, 28) in, (N, 10) logits out."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, kernel_size=5),
            sigmoid1=nn.Sigmoid(),
            pool1=nn.MaxPool2d(kernel_size=2, stride=2),
            conv2=nn.Conv2d(6, 16, kernel_size=5),
            sigmoid2=nn.Sigmoid(),
            pool2=nn.MaxPool2d(kernel_size=2, stride=2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(16 * 4 * 4, 120),
            sigmoid3=nn.Sigmoid(),
            dense2=nn.Linear(120, 84),
            sigmoid4=nn.Sigmoid(),
            dense3=nn.Linear(84, 10),
        )
    )


def lenet_avg() -> Any:
    """LeNet-5 with sigmoids and average-pooling; (N, 1, 28, 28) in, (N, 10) logits out."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, kernel_size=5, padding=2),
            sigmoid1=nn.Sigmoid(),
            pool1=nn.AvgPool2d(kernel_size=2, stride=2),
            conv2=nn.Conv2d(6, 16, kernel_size=5),
            sigmoid2=nn.Sigmoid(),
            pool2=nn.AvgPool2d(kernel_size=2, stride=2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(16 * 5 * 5, 120),
            sigmoid3=nn.Sigmoid(),
            dense2=nn.Linear(120, 84),
            sigmoid4=nn.Sigmoid(),
            dense3=nn.Linear(84, 10),
        )
    )


def lenet_bn() -> Any:
    """LeNet-5 with BatchNorm before each sigmoid; (N, 1, 28, 28) in, (N, 10) logits out."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, kernel_size=5),
            bn1=nn.BatchNorm2d(6, eps=1e-5, momentum=0.1),
            sigmoid1=nn.Sigmoid(),
            pool1=nn.MaxPool2d(kernel_size=2, stride=2),
            conv2=nn.Conv2d(6, 16, kernel_size=5),
            bn2=nn.BatchNorm2d(16, eps=1e-5, momentum=0.1),
            sigmoid2=nn.Sigmoid(),
            pool2=nn.MaxPool2d(kernel_size=2, stride=2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(16 * 4 * 4, 120),
            bn3=nn.BatchNorm1d(120, eps=1e-5, momentum=0.1),
            sigmoid3=nn.Sigmoid(),
            dense2=nn.Linear(120, 84),
            bn4=nn.BatchNorm1d(84, eps=1e-5, momentum=0.1),
            sigmoid4=nn.Sigmoid(),
            dense3=nn.Linear(84, 10),
        )
    )


def alexnet() -> Any:
    """AlexNet for grey images of ten classes; (N, 1, 224, 224) in, (N, 10) logits out."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 96, kernel_size=11, stride=4),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(kernel_size=3, stride=2),
            conv2=nn.Conv2d(96, 256, kernel_size=5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(kernel_size=3, stride=2),
            conv3=nn.Conv2d(256, 384, kernel_size=3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(384, 384, kernel_size=3, padding=1),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(384, 256, kernel_size=3, padding=1),
            relu5=nn.ReLU(),
            pool3=nn.MaxPool2d(kernel_size=3, stride=2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(256 * 5 * 5, 4096),
            relu6=nn.ReLU(),
            dropout1=nn.Dropout(0.5),
            dense2=nn.Linear(4096, 4096),
            relu7=nn.ReLU(),
            dropout2=nn.Dropout(0.5),
            dense3=nn.Linear(4096, 10),
        )
    )


def vgg11_small() -> Any:
    """VGG-11 with a quarter of its channels; (N, 1, 224, 224) in, (N, 10) logits out."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, kernel_size=3, padding=1),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(kernel_size=2, stride=2),
            conv2=nn.Conv2d(16, 32, kernel_size=3, padding=1),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(kernel_size=2, stride=2),
            conv3=nn.Conv2d(32, 64, kernel_size=3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(64, 64, kernel_size=3, padding=1),
            relu4=nn.ReLU(),
            pool3=nn.MaxPool2d(kernel_size=2, stride=2),
            conv5=nn.Conv2d(64, 128, kernel_size=3, padding=1),
            relu5=nn.ReLU(),
            conv6=nn.Conv2d(128, 128, kernel_size=3, padding=1),
            relu6=nn.ReLU(),
            pool4=nn.MaxPool2d(kernel_size=2, stride=2),
            conv7=nn.Conv2d(128, 128, kernel_size=3, padding=1),
            relu7=nn.ReLU(),
            conv8=nn.Conv2d(128, 128, kernel_size=3, padding=1),
            relu8=nn.ReLU(),
            pool5=nn.MaxPool2d(kernel_size=2, stride=2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(128 * 7 * 7, 4096),
            relu9=nn.ReLU(),
            dropout1=nn.Dropout(0.5),
            dense2=nn.Linear(4096, 4096),
            relu10=nn.ReLU(),
            dropout2=nn.Dropout(0.5),
            dense3=nn.Linear(4096, 10),
        )
    )


def nin() -> Any:
    """Network in Network; (N, 1, 224, 224) in, (N, 10) logits out."""
    return nn.Sequential(
        OrderedDict(
            block1=_nin_block(1, 96, kernel_size=11, stride=4),
            pool1=nn.MaxPool2d(kernel_size=3, stride=2),
            block2=_nin_block(96, 256, kernel_size=5, padding=2),
            pool2=nn.MaxPool2d(kernel_size=3, stride=2),
            block3=_nin_block(256, 384, kernel_size=3, padding=1),
            pool3=nn.MaxPool2d(kernel_size=3, stride=2),
            dropout=nn.Dropout(0.5),
            block4=_nin_block(384, 10, kernel_size=3, padding=1),
            pool4=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )


def resnet18() -> Any:
    """ResNet-18; (N, 1, 96, 96) in, (N, 10) logits out."""
    return nn.Sequential(
        OrderedDict(
            **_stem(),
            stage1=_stage(64, 64, stride=1),
            stage2=_stage(64, 128, stride=2),
            stage3=_stage(128, 256, stride=2),
            stage4=_stage(256, 512, stride=2),
            pool2=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dense1=nn.Linear(512, 10),
        )
    )


def densenet() -> Any:
    """DenseNet of four blocks of four convolutions; (N, 1, 96, 96) in, (N, 10) logits out."""
    return nn.Sequential(
        OrderedDict(
            **_stem(),
            block1=_dense_block(64),
            transition1=_transition(192, 96),
            block2=_dense_block(96),
            transition2=_transition(224, 112),
            block3=_dense_block(112),
            transition3=_transition(240, 120),
            block4=_dense_block(120),
            bn2=nn.BatchNorm2d(248, eps=1e-5, momentum=0.1),
            relu2=nn.ReLU(),
            pool2=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dense1=nn.Linear(248, 10),
        )
    )


class ResidualBlock(nn.Module):  # type: ignore[misc]
    """Two 3×3 convolutions with BatchNorm, added to the inputs, then ReLU.

    (N, in_channels, H, W) in, (N, channels, H ÷ stride, W ÷ stride) out; where that isn't the same
    shape, the inputs go through a 1×1 convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1)
        self.bn1 = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)
        self.shortcut = (
            nn.Identity()
            if in_channels == channels
            else nn.Conv2d(in_channels, channels, kernel_size=1, stride=stride)
        )
        self.relu2 = nn.ReLU()

    def forward(self, x: Any) -> Any:
        """What both ways make of ``x``, added, without what is below 0."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu2(y + self.shortcut(x))


class DenseUnit(nn.Module):  # type: ignore[misc]
    """BatchNorm, ReLU and a 3×3 convolution, whose outputs are put behind the inputs.

    (N, in_channels, H, W) in, (N, in_channels + growth, H, W) out.
    """

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(in_channels, eps=1e-5, momentum=0.1)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(in_channels, growth, kernel_size=3, padding=1)

    def forward(self, x: Any) -> Any:
        """``x`` and what the convolution makes of it, along the channels."""
        y = self.conv(self.relu(self.bn(x)))
        return torch.cat([x, y], dim=1)


def _stem() -> dict[str, Any]:
    """What ResNet and DenseNet begin with; (N, 1, 96, 96) in, (N, 64, 24, 24) out."""
    return {
        "conv1": nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3),
        "bn1": nn.BatchNorm2d(64, eps=1e-5, momentum=0.1),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    }


def _stage(in_channels: int, channels: int, stride: int) -> Any:
    """Two blocks; (N, in_channels, H, W) in, (N, channels, H ÷ stride, W ÷ stride) out."""
    return nn.Sequential(
        OrderedDict(
            block1=ResidualBlock(in_channels, channels, stride),
            block2=ResidualBlock(channels, channels, stride=1),
        )
    )


def _dense_block(in_channels: int) -> Any:
    """Four units; (N, in_channels, H, W) in, (N, in_channels + 4 · 32, H, W) out."""
    return nn.Sequential(
        OrderedDict(
            unit1=DenseUnit(in_channels, 32),
            unit2=DenseUnit(in_channels + 32, 32),
            unit3=DenseUnit(in_channels + 64, 32),
            unit4=DenseUnit(in_channels + 96, 32),
        )
    )


def _transition(in_channels: int, channels: int) -> Any:
    """Fewer and smaller maps; (N, in_channels, H, W) in, (N, channels, H ÷ 2, W ÷ 2) out."""
    return nn.Sequential(
        OrderedDict(
            bn=nn.BatchNorm2d(in_channels, eps=1e-5, momentum=0.1),
            relu=nn.ReLU(),
            conv=nn.Conv2d(in_channels, channels, kernel_size=1),
            pool=nn.AvgPool2d(kernel_size=2, stride=2),
        )
    )


def _nin_block(
    in_channels: int, channels: int, kernel_size: int, stride: int = 1, padding: int = 0
) -> Any:
    """A convolution and two of 1×1, each with ReLU."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, channels, kernel_size, stride, padding),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(channels, channels, kernel_size=1),
            relu2=nn.ReLU(),
            conv3=nn.Conv2d(channels, channels, kernel_size=1),
            relu3=nn.ReLU(),
        )
    )


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
"""Model name → constructor of a ``torch.nn.Module``."""
