"""The layers of a Keras model by their canonical names, where an activation is a layer too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras


def layer_named(model: Any, name: str, names: Sequence[str]) -> Any:
    """The Keras layer of ``model`` that the canonical ``name``, one of ``names``, means.

    It has the weights that the model's variables hold now. Raises ``ValueError``: Keras has
    another number of layers.
    """
    makers = [
        maker
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
        for maker in _elementary(layer)
    ]
    if len(makers) != len(names):
        raise ValueError(
            f"No layer {name!r} in keras: {len(makers)} layers and activations, expected the "
            f"model's {len(names)} layers"
        )
    return makers[names.index(name)]()


def _elementary(layer: Any) -> list[Callable[[], Any]]:
    """What gives ``layer``; where it ends in an activation, what gives it without, and that."""
    inside = getattr(layer, "activation", None)
    if inside in (None, keras.activations.linear) or not layer.variables:
        return [lambda: layer]
    return [lambda: _without_activation(layer), lambda: keras.layers.Activation(inside)]


def _without_activation(layer: Any) -> Any:
    """A layer like ``layer``, with its weights of now, that ends before its activation."""
    bare = type(layer).from_config({**layer.get_config(), "activation": None})
    bare.build(layer.input.shape)
    for variable, value in zip(bare.variables, layer.variables, strict=True):
        variable.assign(value)
    return bare
