"""Batch normalization, forward and backward, in training and in inference."""

from __future__ import annotations

import numpy as np

from impls.definition import BatchNorm
from impls.reference.passes import Array, Context, Forward, Gradients


def batch_norm(layer: BatchNorm, inputs: Array, context: Context) -> Forward:
    """(N, C, …) float in and out: normalized channel by channel, times weight, plus bias.

    Ioffe and Szegedy, Batch Normalization, 2015: algorithm 1 in training, algorithm 2 in inference;
    the way back is the end of their section 3. In training the running statistics are
    (1 − momentum) times what they were plus momentum times the batch's, whose variance is the one
    that ``Context.variance_formula`` names.

    Raises ``ZeroDivisionError``: one value a channel, which has no unbiased variance.
    """
    values = inputs.size // inputs.shape[1]
    channels = (1, -1, *(1 for _ in inputs.shape[2:]))  # as one broadcasts along the inputs
    names = (f"{layer.name}.running_mean", f"{layer.name}.running_var")
    weight = context.weights[f"{layer.name}.weight"].reshape(channels)
    bias = context.weights[f"{layer.name}.bias"].reshape(channels)

    running = [context.weights[name] for name in names]
    statistics: dict[str, Array] = {}
    if context.training:
        mean = (context.channel_sums(inputs) / values).reshape(channels)
        centred = inputs - mean
        variance = (context.channel_sums(np.square(centred)) / values).reshape(channels)
        batch = [mean.ravel(), variance.ravel()]
        if context.variance_formula == "unbiased":
            batch[1] = batch[1] * (values / (values - 1))
        for name, old, new in zip(names, running, batch, strict=True):
            statistics[name] = (1 - layer.momentum) * old + layer.momentum * new
    else:
        mean, variance = (array.reshape(channels) for array in running)
        centred = inputs - mean
    scale = 1 / np.sqrt(variance + layer.epsilon)
    normalized = centred * scale

    def backward(gradient: Array) -> tuple[Array, Gradients]:
        by_weight = context.channel_sums(gradient * normalized).reshape(channels)
        by_bias = context.channel_sums(gradient).reshape(channels)
        by_inputs = gradient
        if context.training:
            # Each value also moves the batch's mean and variance.
            by_inputs = gradient - (by_bias + normalized * by_weight) / values
        return by_inputs * (weight * scale), {
            f"{layer.name}.weight": by_weight.ravel(),
            f"{layer.name}.bias": by_bias.ravel(),
        }

    return Forward(normalized * weight + bias, backward, statistics)
