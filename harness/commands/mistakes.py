"""The oracle with a mistake in it, of a kind that frameworks and their users really make."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from impls.adapter import Adam, Setup, Weights
from impls.definition import BatchNorm, Dense, Flatten, Model, Shape
from impls.reference.adapter import ReferenceAdapter
from impls.reference.optimizers import Arrays, Optimizer
from impls.reference.passes import Arithmetic, Array, Forward, Gradients

DECADES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
MADE = (1.0,)
"""The only size of a mistake that is made or not."""


class Mistake(NamedTuple):
    """One kind of mistake, in several sizes."""

    name: str
    """With x for the size."""
    sizes: tuple[float, ...]
    """From the worst to the least."""
    adapter: Callable[[Setup, float], ReferenceAdapter]
    """The oracle of a setup, with the mistake in this size."""
    float32_alone: bool = False
    """Whether code that is computed in float64 does not make it."""


def mistakes_of(setup: Setup) -> Iterator[Mistake]:
    """Every kind that can be made with this model and optimizer."""
    model = setup.model
    biases = [name for name in model.parameter_shapes() if name.endswith(".bias")]
    yield Mistake("learning rate × (1 + x)", DECADES, _learning_rate)
    sum_for_mean = float(setup.batch_size - 1)
    yield Mistake("gradient × (1 + x)", (sum_for_mean, 1.0, *DECADES), _scaled)
    if isinstance(setup.optimizer, Adam):
        yield Mistake("Adam's ε × x", (100.0, 10.0, 3.0, 1.5, 1.1, 1.01), _epsilon)
        yield Mistake("Adam's other formula for ε", MADE, _other_formula)
        yield Mistake("Adam's β₂ − x", DECADES, _beta2)
    elif not setup.optimizer.momentum:
        yield Mistake("momentum x where none is asked for", (0.9, *DECADES), _momentum)
    yield Mistake("weight decay x", DECADES, _weight_decay)
    yield Mistake("label smoothing x", DECADES, _smoothed)
    for name in dict.fromkeys((biases[0], biases[-1])):
        yield Mistake(f"{name} left untrained", MADE, partial(_untrained, name))
    yield Mistake("one step of ten skipped", MADE, _skipping)
    yield Mistake("last example of each batch dropped", MADE, _last_dropped)
    if list(_flattened(model)):
        yield Mistake("flattened in the order H, W, C", MADE, _last_axis)
    if any(isinstance(step.layer, BatchNorm) for step in model.elementary_steps()):
        yield Mistake("BatchNorm's momentum m as 1 − m", MADE, _other_norm_momentum)
        yield Mistake("BatchNorm's other variance", MADE, _other_variance)
        yield Mistake("BatchNorm's ε × x", (100.0, 10.0, 1.1, 1.01), _norm_epsilon)
    bits = (8.0, 11.0, 14.0, 17.0, 20.0)
    yield Mistake("layers rounded to x bits", bits, _rounded, float32_alone=True)


def _with_optimizer(setup: Setup, **constants: float) -> ReferenceAdapter:
    optimizer = msgspec.structs.replace(setup.optimizer, **constants)
    return ReferenceAdapter(msgspec.structs.replace(setup, optimizer=optimizer))


def _learning_rate(setup: Setup, size: float) -> ReferenceAdapter:
    return _with_optimizer(setup, learning_rate=setup.optimizer.learning_rate * (1 + size))


def _epsilon(setup: Setup, size: float) -> ReferenceAdapter:
    assert isinstance(setup.optimizer, Adam)
    return _with_optimizer(setup, epsilon=setup.optimizer.epsilon * size)


def _beta2(setup: Setup, size: float) -> ReferenceAdapter:
    assert isinstance(setup.optimizer, Adam)
    return _with_optimizer(setup, beta2=setup.optimizer.beta2 - size)


def _momentum(setup: Setup, size: float) -> ReferenceAdapter:
    return _with_optimizer(setup, momentum=size)


def _other_formula(setup: Setup, size: float) -> ReferenceAdapter:
    other = "epsilon" if setup.adam_formula == "epsilon-hat" else "epsilon-hat"
    return ReferenceAdapter(msgspec.structs.replace(setup, adam_formula=other))


def _other_variance(setup: Setup, size: float) -> ReferenceAdapter:
    other = "biased" if setup.variance_formula == "unbiased" else "unbiased"
    return ReferenceAdapter(msgspec.structs.replace(setup, variance_formula=other))


def _other_norm_momentum(setup: Setup, size: float) -> ReferenceAdapter:
    return _with_norm(setup, lambda norm: {"momentum": 1 - norm["momentum"]})


def _norm_epsilon(setup: Setup, size: float) -> ReferenceAdapter:
    return _with_norm(setup, lambda norm: {"epsilon": norm["epsilon"] * size})


def _with_norm(
    setup: Setup, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> ReferenceAdapter:
    """Every BatchNorm of the model changed, however deep it lies."""

    def changed(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return [changed(each) for each in part]
        if not isinstance(part, dict):
            return part
        inside = {key: changed(value) for key, value in part.items()}
        return {**inside, **change(inside)} if inside.get("kind") == "batch_norm" else inside

    model = msgspec.convert(changed(msgspec.to_builtins(setup.model)), Model)
    return ReferenceAdapter(msgspec.structs.replace(setup, model=model))


class _OtherLoss(ReferenceAdapter):
    """The gradient of another loss goes back; what is said of the loss is the right one."""

    def __init__(self, setup: Setup, change: Callable[[Array], Array]) -> None:
        super().__init__(setup)
        self._change = change

    def _forward(self, images: NDArray[np.float32], *, training: bool) -> Forward:
        right = super()._forward(images, training=training)

        def backward(by_logits: Array) -> tuple[Array, Gradients]:
            return right.backward(self._change(by_logits))

        return right._replace(backward=backward)


def _scaled(setup: Setup, size: float) -> ReferenceAdapter:
    return _OtherLoss(setup, lambda gradient: gradient * (1 + size))


def _smoothed(setup: Setup, size: float) -> ReferenceAdapter:
    def change(gradient: Array) -> Array:
        # The label's gradient alone is negative: (p − 1) ÷ B.
        labels = gradient < 0
        moved: Array = gradient + size * (labels - 1 / gradient.shape[1]) / len(gradient)
        return moved

    return _OtherLoss(setup, change)


def _last_dropped(setup: Setup, size: float) -> ReferenceAdapter:
    def change(gradient: Array) -> Array:
        kept = gradient * (len(gradient) / (len(gradient) - 1))
        kept[-1] = 0
        return kept

    return _OtherLoss(setup, change)


class _OtherSteps(ReferenceAdapter):
    """The optimizer is another."""

    def __init__(self, setup: Setup, change: Callable[[Optimizer], Optimizer]) -> None:
        self._change = change
        super().__init__(setup)

    def load_weights(self, weights: Weights) -> None:
        super().load_weights(weights)
        self._optimizer = self._change(self._optimizer)


class _Decaying(NamedTuple):
    """L2: every parameter times ``decay`` goes into its gradient."""

    right: Optimizer
    decay: float

    def step(self, weights: Arrays, gradients: Arrays) -> None:
        self.right.step(
            weights, {name: one + self.decay * weights[name] for name, one in gradients.items()}
        )


def _weight_decay(setup: Setup, size: float) -> ReferenceAdapter:
    return _OtherSteps(setup, lambda right: _Decaying(right, size))


class _Untrained(NamedTuple):
    """One parameter stays as it is."""

    right: Optimizer
    name: str

    def step(self, weights: Arrays, gradients: Arrays) -> None:
        self.right.step(weights, {name: gradients[name] for name in gradients.keys() - {self.name}})


def _untrained(name: str, setup: Setup, size: float) -> ReferenceAdapter:
    return _OtherSteps(setup, lambda right: _Untrained(right, name))


class _Skipping:
    """Of every ten steps the last is not taken."""

    def __init__(self, right: Optimizer) -> None:
        self._right = right
        self._steps = 0

    def step(self, weights: Arrays, gradients: Arrays) -> None:
        self._steps += 1
        if self._steps % 10:
            self._right.step(weights, gradients)


def _skipping(setup: Setup, size: float) -> ReferenceAdapter:
    return _OtherSteps(setup, _Skipping)


class _LastAxis(ReferenceAdapter):
    """Images are flattened channels last, into dense kernels that expect them first."""

    def load_weights(self, weights: Weights) -> None:
        super().load_weights(weights)
        for name, (depth, height, width) in _flattened(self._setup.model):
            kernel = self._weights[name].reshape(-1, height, width, depth)
            self._weights[name] = kernel.transpose(0, 3, 1, 2).reshape(len(kernel), -1)

    def weights(self) -> dict[str, NDArray[Any]]:
        read = super().weights()
        for name, (depth, height, width) in _flattened(self._setup.model):
            kernel = read[name].reshape(-1, depth, height, width)
            read[name] = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)
        return read


def _last_axis(setup: Setup, size: float) -> ReferenceAdapter:
    return _LastAxis(setup)


def _flattened(model: Model) -> Iterator[tuple[str, Shape]]:
    """Name of each dense kernel right behind a flattening of more than one value a channel, and the
    shape (C, H, W) of what is flattened."""
    steps = list(model.elementary_steps())
    for before, step in itertools.pairwise(steps):
        several = before.input_shape[1:] != (1, 1)
        if isinstance(before.layer, Flatten) and isinstance(step.layer, Dense) and several:
            yield f"{step.layer.name}.weight", before.input_shape


class _Rounding(Arithmetic):
    """Every layer's outputs and gradients keep so many binary digits: 11 as in float16, 8 as in
    bfloat16."""

    bits: int = 53

    def shaken(self, values: Array) -> Array:
        digits, exponents = np.frexp(values)
        kept: Array = np.ldexp(np.rint(np.ldexp(digits, self.bits)), exponents - self.bits)
        return kept


def _rounded(setup: Setup, size: float) -> ReferenceAdapter:
    adapter = ReferenceAdapter(setup)
    arithmetic = _Rounding()
    arithmetic.bits = int(size)
    adapter._arithmetic = arithmetic
    return adapter
