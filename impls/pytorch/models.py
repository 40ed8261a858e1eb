"""The models as a PyTorch user writes them. Read beside the other frameworks' ``models.py``.

Module names are the canonical layer names, so that ``named_parameters`` speaks of
``conv1.weight`` as the rest of the suite does. PyTorch's own layout is the canonical one: images
(N, C, H, W), convolutions (out, in, height, width), dense kernels (out, in).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

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


MODELS: dict[str, Callable[[], Any]] = {"lenet": lenet}
"""Model name → constructor of a ``torch.nn.Module``."""
