"""The least work of each part of a training step: FLOPs, and bytes that have to move.

Counting rules, the same for every framework, so that rates can be held against each other and
against the machine (Williams, Waterman and Patterson, "Roofline", 2009):

* FLOPs are those of ``Layer.forward_flops``: the products of convolutions and dense layers, a
  multiplication and an addition each. Whatever else is computed (pooling, sigmoids, biases, the
  loss, an optimizer's update) counts 0: its limit is memory, not arithmetic.
* Backward, each product occurs once more for the gradient by the weights and once more for that by
  the inputs; nobody asks for the gradient by the image, so the first layer does without.
* Bytes are the float32 values that go in and come out, each once: what is only handed from layer to
  layer inside a call could stay in a cache. An execution that moves more reaches less of the
  machine's bandwidth by this measure, as it should. Labels and losses are left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from impls.adapter import Adam, Optimizer
from impls.definition import Model, Step

VALUE_BYTES = 4


class Cost(NamedTuple):
    """What one call has to do at least."""

    flops: int
    bytes: int


def forward(model: Model, batch_size: int) -> Cost:
    """Images and weights in, logits out."""
    values = batch_size * (math.prod(model.input_shape) + model.CLASSES) + _weights(model)
    return Cost(batch_size * model.forward_flops(), values * VALUE_BYTES)


def forward_backward(model: Model, batch_size: int) -> Cost:
    """Images and weights in, a gradient for each parameter out."""
    values = batch_size * math.prod(model.input_shape) + _weights(model) + _parameters(model)
    return Cost(batch_size * model.training_flops(), values * VALUE_BYTES)


def optimizer_step(model: Model, optimizer: Optimizer) -> Cost:
    """Parameters, gradients and the optimizer's state in; parameters and state out."""
    values = _parameters(model) * (3 + 2 * state_values(optimizer))
    return Cost(0, values * VALUE_BYTES)


def train_step(model: Model, optimizer: Optimizer, batch_size: int) -> Cost:
    """Images, weights and the optimizer's state in, weights and state out.

    Gradients are made and used within the step: they do not have to be moved.
    """
    state = _parameters(model) * state_values(optimizer)
    values = batch_size * math.prod(model.input_shape) + 2 * (_weights(model) + state)
    return Cost(batch_size * model.training_flops(), values * VALUE_BYTES)


def layer_forward(step: Step, batch_size: int) -> Cost:
    """A layer's inputs and weights in, its outputs out."""
    values = batch_size * _values_of_one(step) + _layer_weights(step)
    return Cost(batch_size * step.layer.forward_flops(step.input_shape), values * VALUE_BYTES)


def layer_forward_backward(step: Step, batch_size: int, *, first: bool) -> Cost:
    """Inputs, weights and the gradient by the outputs in; outputs and the other gradients out.

    ``first``: the layer sees images, and there is no gradient by its inputs.
    """
    inputs, outputs = math.prod(step.input_shape), math.prod(step.output_shape)
    per_example = 2 * outputs + (1 if first else 2) * inputs
    values = batch_size * per_example + 2 * _layer_weights(step)
    times = 2 if first else 3
    flops = times * batch_size * step.layer.forward_flops(step.input_shape)
    return Cost(flops, values * VALUE_BYTES)


def gather(model: Model, examples: int) -> Cost:
    """Pixels of one byte in, float32 out."""
    return Cost(0, examples * math.prod(model.input_shape) * (1 + VALUE_BYTES))


def staging(model: Model, examples: int, device: str) -> Cost:
    """Images over the bus to a GPU; on a CPU they may stay where they are, so nothing has to move.

    ``device``: ``cpu``, ``gpu`` or ``gpu:N``.
    """
    values = 0 if device == "cpu" else examples * math.prod(model.input_shape)
    return Cost(0, values * VALUE_BYTES)


def matmul(size: int) -> Cost:
    """Two square matrices in, their product out."""
    return Cost(2 * size**3, 3 * size**2 * VALUE_BYTES)


def copy(count_bytes: int) -> Cost:
    """Everything is read once and written once."""
    return Cost(0, 2 * count_bytes)


def state_values(optimizer: Optimizer) -> int:
    """How many values an optimizer keeps for each parameter."""
    if isinstance(optimizer, Adam):
        return 2
    return 1 if optimizer.momentum else 0


def _parameters(model: Model) -> int:
    return sum(math.prod(shape) for shape in model.parameter_shapes().values())


def _weights(model: Model) -> int:
    return sum(math.prod(shape) for shape in model.weight_shapes().values())


def _layer_weights(step: Step) -> int:
    shapes = step.layer.parameter_shapes(step.input_shape)
    return sum(math.prod(shape) for shape in shapes.values())


def _values_of_one(step: Step) -> int:
    return math.prod(step.input_shape) + math.prod(step.output_shape)
