"""What a model is, apart from any framework: its layers, shapes, parameters and FLOPs.

``benchmarks/models.toml`` is read into these records. The frameworks do not interpret them (each
writes its models idiomatically, in its own ``models.py``); the NumPy reference does, and the
harness derives initial weights and layer tables from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import msgspec

Shape = tuple[int, ...]
"""Of one image's values, batch dimension left out: (C, H, W), or (features,)."""


class _Layer(msgspec.Struct, frozen=True, tag_field="kind"):
    """A layer without parameters whose outputs have the shape of its inputs."""

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of the outputs for inputs of ``shape``."""
        return shape

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Canonical name → shape of what training changes by gradients."""
        return {}

    def statistic_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Canonical name → shape of what training tracks beside the parameters."""
        return {}

    def forward_flops(self, shape: Shape) -> int:
        """Multiplications and additions of this layer's products for one image.

        Only convolutions and dense layers count, two for each product, biases left out: the
        convention of the layer tables in He et al. 2016 (which counts a product once) and of
        PyTorch's FlopCounterMode.
        """
        return 0


class Conv(_Layer, tag="conv", frozen=True):
    """2-D cross-correlation with bias; ``weight`` is (out, in, kernel, kernel)."""

    name: str
    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) in, (channels, H', W') out."""
        return (self.channels, *_extents(shape, self.kernel, self.stride, self.padding))

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """``weight`` and ``bias``."""
        return {
            f"{self.name}.weight": (self.channels, shape[0], self.kernel, self.kernel),
            f"{self.name}.bias": (self.channels,),
        }

    def forward_flops(self, shape: Shape) -> int:
        """A product for each weight at each place."""
        return 2 * math.prod(self.output_shape(shape)) * shape[0] * self.kernel**2


class MaxPool(_Layer, tag="max_pool", frozen=True):
    """Maximum over ``size`` × ``size`` neighbourhoods; padded places never win."""

    size: int
    stride: int
    padding: int = 0

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) in, (C, H', W') out."""
        return (shape[0], *_extents(shape, self.size, self.stride, self.padding))


class AveragePool(_Layer, tag="average_pool", frozen=True):
    """Mean over ``size`` × ``size`` neighbourhoods, no padding."""

    size: int
    stride: int

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) in, (C, H', W') out."""
        return (shape[0], *_extents(shape, self.size, self.stride, 0))


class GlobalAveragePool(_Layer, tag="global_average_pool", frozen=True):
    """Mean over all places of a channel: (C, H, W) to (C,)."""

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) in, (C,) out."""
        return shape[:1]


class Sigmoid(_Layer, tag="sigmoid", frozen=True):
    """1 ÷ (1 + e⁻ˣ), element by element."""


class Relu(_Layer, tag="relu", frozen=True):
    """max(x, 0), element by element; its slope at 0 is 0."""


class Dropout(_Layer, tag="dropout", frozen=True):
    """In training, each value is 0 with probability ``rate``, the others times 1 ÷ (1 − rate)."""

    rate: float


class BatchNorm(_Layer, tag="batch_norm", frozen=True):
    """(x − mean) ÷ √(variance + epsilon) · weight + bias, channel by channel.

    In training mean and variance are those of the batch over N, H and W (the variance without
    Bessel's correction), and the running statistics move towards them by ``momentum``; inference
    uses those. Ioffe and Szegedy, 2015, algorithms 1 and 2.
    """

    name: str
    epsilon: float = 1e-5
    momentum: float = 0.1
    """Share of the batch in the new running statistics."""

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """``weight`` (γ) and ``bias`` (β)."""
        return {f"{self.name}.weight": shape[:1], f"{self.name}.bias": shape[:1]}

    def statistic_shapes(self, shape: Shape) -> dict[str, Shape]:
        """``running_mean`` and ``running_var``."""
        return {f"{self.name}.running_mean": shape[:1], f"{self.name}.running_var": shape[:1]}


class Flatten(_Layer, tag="flatten", frozen=True):
    """(C, H, W) to (C·H·W,), the width running fastest: the canonical order of dense inputs."""

    def output_shape(self, shape: Shape) -> Shape:
        """One dimension."""
        return (math.prod(shape),)


class Dense(_Layer, tag="dense", frozen=True):
    """x·Wᵀ + b; ``weight`` is (out, in)."""

    name: str
    units: int

    def output_shape(self, shape: Shape) -> Shape:
        """(in,) in, (units,) out."""
        return (self.units,)

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """``weight`` and ``bias``."""
        return {f"{self.name}.weight": (self.units, shape[0]), f"{self.name}.bias": (self.units,)}

    def forward_flops(self, shape: Shape) -> int:
        """A product for each weight."""
        return 2 * self.units * shape[0]


class Residual(_Layer, tag="residual", frozen=True):
    """What ``layers`` make of the inputs, plus what ``shortcut`` makes of them.

    An empty shortcut is the identity. He et al., 2016, section 3.2.
    """

    layers: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()

    def output_shape(self, shape: Shape) -> Shape:
        """That of both ways, which is the same."""
        return output_shape(self.layers, shape)


class DenseConnection(_Layer, tag="dense_connection", frozen=True):
    """The inputs with what ``layers`` make of them behind, along the channels.

    Huang et al., 2017, section 3.
    """

    layers: tuple[Layer, ...]

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) in, (C + C', H, W) out."""
        return (shape[0] + output_shape(self.layers, shape)[0], *shape[1:])


Layer = (
    Conv
    | MaxPool
    | AveragePool
    | GlobalAveragePool
    | Sigmoid
    | Relu
    | Dropout
    | BatchNorm
    | Flatten
    | Dense
    | Residual
    | DenseConnection
)


class Step(NamedTuple):
    """A layer in its place."""

    layer: Layer
    input_shape: Shape
    output_shape: Shape


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A network as a chain of layers, ending in one logit per class."""

    name: str
    input_shape: Shape
    """(C, H, W) of one image."""
    layers: tuple[Layer, ...]

    CLASSES: ClassVar[int] = 10

    def steps(self) -> Iterator[Step]:
        """Each layer of the chain in its place, a residual block being one of them."""
        return steps(self.layers, self.input_shape)

    def elementary_steps(self) -> Iterator[Step]:
        """Each layer that holds no others, in the order in which initial weights are drawn."""
        return elementary_steps(self.layers, self.input_shape)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Canonical name → shape of what training changes by gradients."""
        return {
            name: extent
            for step in self.elementary_steps()
            for name, extent in step.layer.parameter_shapes(step.input_shape).items()
        }

    def weight_shapes(self) -> dict[str, Shape]:
        """Canonical name → shape of parameters and running statistics, in the canonical order."""
        return {
            name: extent
            for step in self.elementary_steps()
            for shapes in (step.layer.parameter_shapes, step.layer.statistic_shapes)
            for name, extent in shapes(step.input_shape).items()
        }

    def forward_flops(self) -> int:
        """FLOPs of a forward pass, per image; see ``_Layer.forward_flops`` for what counts."""
        return sum(step.layer.forward_flops(step.input_shape) for step in self.elementary_steps())

    def training_flops(self) -> int:
        """FLOPs of a forward and a backward pass, per image.

        Backward, each product occurs once for the gradient by the weights and once for that by the
        inputs; nobody asks for the gradient by the image.
        """
        flops = [step.layer.forward_flops(step.input_shape) for step in self.elementary_steps()]
        first = next((each for each in flops if each), 0)
        return 3 * sum(flops) - first


def steps(layers: tuple[Layer, ...], shape: Shape) -> Iterator[Step]:
    """Each of ``layers`` in its place, the first fed with inputs of ``shape``."""
    for layer in layers:
        output = layer.output_shape(shape)
        yield Step(layer, shape, output)
        shape = output


def elementary_steps(layers: tuple[Layer, ...], shape: Shape) -> Iterator[Step]:
    """Likewise, with the insides of layers that hold others in place of these."""
    for step in steps(layers, shape):
        if isinstance(step.layer, Residual):
            yield from elementary_steps(step.layer.layers, step.input_shape)
            yield from elementary_steps(step.layer.shortcut, step.input_shape)
        elif isinstance(step.layer, DenseConnection):
            yield from elementary_steps(step.layer.layers, step.input_shape)
        else:
            yield step


def output_shape(layers: tuple[Layer, ...], shape: Shape) -> Shape:
    """The shape of what comes out of ``layers`` for inputs of ``shape``."""
    for step in steps(layers, shape):
        shape = step.output_shape
    return shape


def _extents(shape: Shape, size: int, stride: int, padding: int) -> Shape:
    """Height and width after windows of ``size``, ``stride`` apart, over padded (C, H, W)."""
    return tuple((extent + 2 * padding - size) // stride + 1 for extent in shape[1:])
