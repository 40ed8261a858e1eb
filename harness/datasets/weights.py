"""The weights that every framework starts from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.spec.recipes import Init
from impls.definition import BatchNorm, Model, Shape


def initial_weights(model: Model, init: Init, seed: int) -> dict[str, NDArray[np.float32]]:
    """Canonical name → float32 array in the canonical layout, in the canonical order.

    ``xavier``: kernels U(±√(6 ÷ (fan_in + fan_out))) (Glorot and Bengio, 2010, equation 16), zero
    biases. ``fan-in-uniform``: kernels and biases U(±1 ÷ √fan_in). Fans count a kernel's area.
    BatchNorm starts as the identity in both: weight and running variance 1, the rest 0.

    NumPy's ``RandomState`` gives the same stream in every version (NEP 19); what is drawn is
    float64, rounded to float32. ``seed``: 0 to 2³² - 1.
    """
    generator = np.random.RandomState(seed)
    weights: dict[str, NDArray[np.float32]] = {}
    for step in model.elementary_steps():
        shapes = step.layer.parameter_shapes(step.input_shape)
        if isinstance(step.layer, BatchNorm):
            shapes |= step.layer.statistic_shapes(step.input_shape)
            for name, shape in shapes.items():
                one = name.endswith((".weight", ".running_var"))
                weights[name] = (np.ones if one else np.zeros)(shape, np.float32)
            continue
        for name, shape in shapes.items():
            if name.endswith(".bias") and init == "xavier":
                weights[name] = np.zeros(shape, np.float32)
            else:
                bound = _bound(init, next(iter(shapes.values())))
                weights[name] = generator.uniform(-bound, bound, shape).astype(np.float32)
    return weights


def _bound(init: Init, kernel: Shape) -> float:
    """Half the width of the interval that a layer with this kernel (out, in, …) draws from."""
    area = math.prod(kernel[2:])
    fan_in, fan_out = kernel[1] * area, kernel[0] * area
    return math.sqrt(6 / (fan_in + fan_out)) if init == "xavier" else 1 / math.sqrt(fan_in)
