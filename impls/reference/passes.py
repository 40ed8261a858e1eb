"""What the layers of one pass through a network share, and what each of them answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from impls.adapter import VarianceFormula, Weights

Array = NDArray[Any]
"""Inputs and weights of one pass share one float dtype, and all else follows them. Docstrings call
it float."""

Gradients = dict[str, Array]
"""Canonical parameter name → gradient, in the parameter's shape."""

Backward = Callable[[Array], tuple[Array, Gradients]]
"""Gradient by the outputs in; gradient by the inputs and gradients by the parameters out."""


class Forward(NamedTuple):
    """What comes out of a layer, and all that training goes on with."""

    outputs: Array
    backward: Backward
    statistics: Mapping[str, Array] = {}
    """Canonical name → running statistics as they are after this pass; only in training."""


class Context(NamedTuple):
    """What all layers of one pass see beside their inputs."""

    weights: Weights
    """Canonical name → parameters and running statistics; no layer changes them."""
    training: bool = False
    masks: np.random.Generator | None = None
    """Draws dropout masks in training; without it, dropout passes everything on."""
    variance_formula: VarianceFormula = "biased"


def channel_sums(values: Array) -> Array:
    """(N, C, …) float in, (C,) out: the sums over everything but the channels.

    In float32 one value after the other, as kernels of MXNet and oneDNN add up on a CPU, so that
    what rounding does to the oracle is what it may do to a framework. NumPy's own sums are pairwise
    and a hundred times closer: https://numpy.org/doc/stable/reference/generated/numpy.sum.html
    """
    by_channel = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    if values.dtype == np.float32:
        last: Array = np.add.accumulate(by_channel, axis=1)[:, -1]
        return last
    total: Array = by_channel.sum(axis=1)
    return total
