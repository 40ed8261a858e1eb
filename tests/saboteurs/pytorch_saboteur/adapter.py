"""PyTorch's adapter with one mistake a mode. ``impl.toml`` says what each class does wrong.

A mode is named as its class is: ``skips-in-silence`` is ``SkipsInSilence``.
"""

import re

import msgspec
from implementation import layers, reading, timing, training

from impls.pytorch import adapter as honest


def modes():
    """Mode → what makes its adapter."""
    classes = {
        re.sub("(?<!^)(?=[A-Z])", "-", name).lower(): one
        for module in (timing, training, reading, layers)
        for name, one in vars(module).items()
        if isinstance(one, type) and one.__module__ == module.__name__
    }
    return {"honest": honest.PytorchAdapter, **classes}


def create(setup):
    mode = modes()[setup.mode]
    setup = msgspec.structs.replace(setup, mode="eager")
    if issubclass(mode, timing.ChildProcess):
        return mode(setup)  # nothing of PyTorch may have run before it forks
    usual, honest.PytorchAdapter = honest.PytorchAdapter, mode
    try:
        return honest.create(setup)
    finally:
        honest.PytorchAdapter = usual
