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


class Arithmetic(NamedTuple):
    """How the oracle rounds: exactly enough to be held against, or as a framework may."""

    dtype: np.dtype[Any] = np.dtype("f8")
    """What everything is computed in; layers and optimizers follow the arrays that they get."""
    one_by_one: bool = False
    """Whether a channel's values are added up one after the other, as kernels of MXNet and oneDNN
    do on a CPU. NumPy's own sums are pairwise and, in float32, a hundred times closer:
    https://numpy.org/doc/stable/reference/generated/numpy.sum.html"""
    salt: int | None = None
    """Set: images, weights and every layer's outputs and gradients are off by up to
    ``SHAKEN_ROUNDINGS``, each by its own share, which follows from this number."""
    rounding: float = 2.0**-24
    """How much of a value one rounding is: float32's, or 2⁻⁵³, float64's."""

    def shaken(self, values: Array) -> Array:
        """``values``, off by what rounding might do to each; as they are without salt.

        Parker, Monte Carlo Arithmetic, 1997: rounding as a random perturbation shows which results
        hang on it. Here it is drawn from a value's own bits (Steele, Lea and Flood, Fast Splittable
        Pseudorandom Number Generators, 2014, section 4), so that equal values stay equal:
        frameworks agree on which of several equals is the first.
        """
        if self.salt is None or values.dtype != np.float64:
            return values
        bits = np.ascontiguousarray(values).view(np.uint64) + np.uint64(self.salt * GOLDEN % 2**64)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        share = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1
        moved: Array = values * (1 + SHAKEN_ROUNDINGS * self.rounding * share)
        return moved


GOLDEN = 0x9E3779B97F4A7C15
"""2⁶⁴ ÷ the golden ratio, odd: the step between the streams of Steele, Lea and Flood."""
SHAKEN_ROUNDINGS = 20
"""Five times the four that a layer may amount to, which adds up many products. A decision of
pooling or ReLU that rounding may turn either way is turned here, and not by chance alone."""


class Context(NamedTuple):
    """What all layers of one pass see beside their inputs."""

    weights: Weights
    """Canonical name → parameters and running statistics; no layer changes them."""
    training: bool = False
    masks: np.random.Generator | None = None
    """Draws dropout masks in training; without it, dropout passes everything on."""
    variance_formula: VarianceFormula = "biased"
    arithmetic: Arithmetic = Arithmetic()

    def channel_sums(self, values: Array) -> Array:
        """(N, C, …) float in, (C,) out: the sums over everything but the channels."""
        by_channel = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
        if self.arithmetic.one_by_one:
            last: Array = np.add.accumulate(by_channel, axis=1)[:, -1]
            return last
        total: Array = by_channel.sum(axis=1)
        return total
