"""Each layer of the live model by itself, on inputs of the shape that it sees there."""

import numpy as np
import pytest

from impls import costs
from impls.pieces import measured_layers


def test_layer(bench, pieces, mode, batch_size, layer, direction, measure):
    layers = measured_layers(bench.job.model)
    step, first = layers[layer], layer == next(iter(layers))
    generator = np.random.RandomState(bench.job.seed)
    inputs = generator.rand(batch_size, *step.input_shape).astype(np.float32)
    backward = direction == "forward_backward"
    try:
        call = pieces.layer(layer, inputs, backward=backward)
    except ValueError as error:
        pytest.skip(str(error))
    measure(
        call,
        piece="layer",
        mode=mode,
        batch_size=batch_size,
        layer=layer,
        direction=direction,
        cost=costs.layer_forward_backward(step, batch_size, first=first)
        if backward
        else costs.layer_forward(step, batch_size),
    )
