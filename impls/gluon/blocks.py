"""What the suite asks of a live Gluon net: its weights and its layers under canonical names."""

from __future__ import annotations

import math
from typing import Any

from mxnet import gluon, sym

from impls.adapter import LayerLine
from impls.definition import Shape

ROLES = {"gamma": "weight", "beta": "bias"}
"""Gluon's name of a parameter's role → the canonical one, where they differ: in BatchNorm."""


def parameters_of(net: Any) -> dict[str, Any]:
    """Canonical name → Gluon parameter, running statistics included, in canonical order."""
    found: dict[str, Any] = {}

    def add(block: Any) -> None:
        for name, parameter in block.params.items():
            role = name.removeprefix(block.prefix)
            found[f"{_layer_name(block)}.{ROLES.get(role, role)}"] = parameter

    net.apply(add)
    return found


def layers_of(net: Any, input_shape: Shape) -> list[LayerLine]:
    """The blocks in the order in which Gluon calls them, a layer before its own activation.

    ``input_shape``: (C, H, W). The net is called with a symbol, as hybridizing calls it: its
    blocks' hooks run, but nothing is computed, and what is compiled stays as it is.
    """
    lines: dict[Any, LayerLine] = {}
    hooks: list[Any] = []

    def enter(block: Any, _: Any) -> None:
        lines[block] = LayerLine(_layer_name(block), type(block).__name__, (), _size(block))

    def leave(block: Any, _: Any, output: Any) -> None:
        extents = output.infer_shape(images=(1, *input_shape))[1][0]
        lines[block] = lines[block]._replace(output_shape=extents[1:])

    def watch(block: Any) -> None:
        if _is_layer(block):
            hooks.append(block.register_forward_pre_hook(enter))
            hooks.append(block.register_forward_hook(leave))

    net.apply(watch)
    net(sym.var("images"))
    for hook in hooks:
        hook.detach()
    return list(lines.values())


def pass_everything_on(net: Any) -> None:
    """``net``'s Dropout blocks change nothing, from its next compilation on."""

    def without_rate(block: Any) -> None:
        if isinstance(block, gluon.nn.Dropout):
            block._rate = 0.0  # there is no public way to change it

    net.apply(without_rate)


def _is_layer(block: Any) -> bool:
    """It has parameters of its own, as a convolution with an activation inside, or no insides."""
    return bool(block.params.keys()) or not block._children


def _layer_name(block: Any) -> str:
    """Canonical: ``stage1.block1.conv1`` for the prefix ``stage1_block1_conv1_``."""
    return block.prefix.removesuffix("_").replace("_", ".") if block.params.keys() else ""


def _size(block: Any) -> int:
    """How many values of the block's own training changes by gradients."""
    parameters = block.params.values()
    return sum(math.prod(each.shape) for each in parameters if each.grad_req != "null")
