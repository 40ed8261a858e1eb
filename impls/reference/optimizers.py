"""SGD and Adam in NumPy, in every formula that a framework uses."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from impls.adapter import Adam, AdamFormula, MomentumFormula, Setup, Sgd

Arrays = dict[str, NDArray[Any]]
"""Canonical parameter name → array in the parameter's shape."""


class Optimizer(Protocol):
    """A rule that changes weights, and what it remembers of the steps before."""

    def step(self, weights: Arrays, gradients: Arrays) -> None:
        """``weights`` have taken one step, in place."""


def new_optimizer(setup: Setup) -> Optimizer:
    """The optimizer of ``setup``, in its formula, before its first step."""
    if isinstance(setup.optimizer, Adam):
        return AdamSteps(setup.optimizer, setup.adam_formula)
    return SgdSteps(setup.optimizer, setup.momentum_formula)


class SgdSteps:
    """Stochastic gradient descent with momentum (Polyak, 1964); with momentum 0, without.

    The two formulas are those of ``MomentumFormula``: rate-outside as in
    https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html, rate-inside as in
    https://keras.io/api/optimizers/sgd/.
    """

    def __init__(self, recipe: Sgd, formula: MomentumFormula) -> None:
        self._recipe = recipe
        self._formula = formula
        self._buffers: Arrays = {}

    def step(self, weights: Arrays, gradients: Arrays) -> None:
        """``weights`` have taken one step, in place."""
        rate, momentum = self._recipe.learning_rate, self._recipe.momentum
        for name, gradient in gradients.items():
            if not momentum:
                weights[name] -= rate * gradient
                continue
            buffer = self._buffers.setdefault(name, np.zeros_like(gradient))
            buffer *= momentum
            if self._formula == "rate-outside":
                buffer += gradient
                weights[name] -= rate * buffer
            else:
                buffer -= rate * gradient
                weights[name] += buffer


class AdamSteps:
    """Adam (Kingma and Ba, 2015), algorithm 1 or the reordering at the end of its section 2."""

    def __init__(self, recipe: Adam, formula: AdamFormula) -> None:
        self._recipe = recipe
        self._formula = formula
        self._steps = 0
        self._means: Arrays = {}
        self._squares: Arrays = {}

    def step(self, weights: Arrays, gradients: Arrays) -> None:
        """``weights`` have taken one step, in place."""
        self._steps += 1
        recipe = self._recipe
        for name, gradient in gradients.items():
            mean = self._means.setdefault(name, np.zeros_like(gradient))
            square = self._squares.setdefault(name, np.zeros_like(gradient))
            # Constants in the weights' own precision, as MXNet and Keras have them: in float32,
            # 1 − .999 is off by 1.3e-5 of itself.
            beta1, beta2, one = (
                gradient.dtype.type(constant) for constant in (recipe.beta1, recipe.beta2, 1)
            )
            mean *= beta1
            mean += (one - beta1) * gradient
            square *= beta2
            square += (one - beta2) * gradient**2
            weights[name] -= self._change(mean, square)

    def _change(self, mean: NDArray[Any], square: NDArray[Any]) -> NDArray[Any]:
        """What the step takes off one parameter, given its moments m and v."""
        recipe = self._recipe
        # Both moments start at 0: this is the weight that t gradients have together.
        mean_weight = 1 - recipe.beta1**self._steps
        square_weight = 1 - recipe.beta2**self._steps
        change: NDArray[Any]
        if self._formula == "epsilon":
            root = np.sqrt(square / square_weight)
            change = recipe.learning_rate * (mean / mean_weight) / (root + recipe.epsilon)
        else:
            rate = recipe.learning_rate * math.sqrt(square_weight) / mean_weight
            change = rate * mean / (np.sqrt(square) + recipe.epsilon)
        return change
