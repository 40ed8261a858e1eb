"""What a model is, apart from any framework: its layers, shapes and parameters.

``benchmarks/models.toml`` is read into these records. The frameworks do not interpret them (each
writes its models idiomatically, in its own ``models.py``); the NumPy reference does, and the
harness derives initial weights and layer tables from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec

Shape = tuple[int, ...]


class Conv(msgspec.Struct, frozen=True, tag_field="kind", tag="conv", forbid_unknown_fields=True):
    """2-D cross-correlation with bias; ``weight`` is (out, in, kernel, kernel)."""

    name: str
    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) in, (channels, H', W') out."""
        _, height, width = shape
        return (self.channels, self._extent(height), self._extent(width))

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Canonical name → shape of this layer's parameters."""
        return {
            f"{self.name}.weight": (self.channels, shape[0], self.kernel, self.kernel),
            f"{self.name}.bias": (self.channels,),
        }

    def _extent(self, size: int) -> int:
        return (size + 2 * self.padding - self.kernel) // self.stride + 1


class MaxPool(
    msgspec.Struct, frozen=True, tag_field="kind", tag="max_pool", forbid_unknown_fields=True
):
    """Maximum over ``size`` × ``size`` neighbourhoods, ``stride`` apart, no padding."""

    size: int
    stride: int

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) in, (C, H', W') out."""
        channels, height, width = shape
        return (
            channels,
            (height - self.size) // self.stride + 1,
            (width - self.size) // self.stride + 1,
        )

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """No parameters."""
        return {}


class Sigmoid(
    msgspec.Struct, frozen=True, tag_field="kind", tag="sigmoid", forbid_unknown_fields=True
):
    """1 ÷ (1 + e⁻ˣ), element by element."""

    def output_shape(self, shape: Shape) -> Shape:
        """The input's shape."""
        return shape

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """No parameters."""
        return {}


class Flatten(
    msgspec.Struct, frozen=True, tag_field="kind", tag="flatten", forbid_unknown_fields=True
):
    """(C, H, W) to (C·H·W,), the width running fastest: the canonical order of dense inputs."""

    def output_shape(self, shape: Shape) -> Shape:
        """One dimension."""
        size = 1
        for extent in shape:
            size *= extent
        return (size,)

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """No parameters."""
        return {}


class Dense(msgspec.Struct, frozen=True, tag_field="kind", tag="dense", forbid_unknown_fields=True):
    """x·Wᵀ + b; ``weight`` is (out, in)."""

    name: str
    units: int

    def output_shape(self, shape: Shape) -> Shape:
        """(in,) in, (units,) out."""
        return (self.units,)

    def parameter_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Canonical name → shape of this layer's parameters."""
        return {f"{self.name}.weight": (self.units, shape[0]), f"{self.name}.bias": (self.units,)}


Layer = Conv | MaxPool | Sigmoid | Flatten | Dense


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network as a chain of layers, ending in one logit per class."""

    name: str
    input_shape: Shape
    """(C, H, W) of one image."""
    layers: tuple[Layer, ...]

    CLASSES: ClassVar[int] = 10

    def shapes(self) -> Iterator[tuple[Layer, Shape, Shape]]:
        """Each layer with its input and output shape, batch dimension left out."""
        shape = self.input_shape
        for layer in self.layers:
            output = layer.output_shape(shape)
            yield layer, shape, output
            shape = output

    def parameter_shapes(self) -> dict[str, Shape]:
        """Canonical name → shape, in the order in which initial weights are drawn."""
        return {
            name: extent
            for layer, shape, _ in self.shapes()
            for name, extent in layer.parameter_shapes(shape).items()
        }
