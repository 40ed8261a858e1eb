"""What is Keras's own whatever its back end: a model with its optimizer, in canonical weights.

Nothing here knows of TensorFlow, JAX or PyTorch: ``KERAS_BACKEND``, which ``impl.toml`` sets, says
which of them Keras computes with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as PROMOTED
from numpy.typing import NDArray

from impls.adapter import Adam, LayerLine, Setup, Weights
from impls.keras.models import MODELS

KERNELS = {"weight": "kernel", "bias": "bias"}
STATISTICS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
"""The canonical name of a layer's variable → Keras's."""


_USUAL = PROMOTED["float64"]
"""What Keras makes of a float64 that two types are promoted to: off TensorFlow, float32, even where
``floatx`` is float64. BatchNorm promotes its inputs with float32, and would compute in that in a
proof in float64. So this one entry is changed there; where float32 is measured, nothing is.
"""


class Place(NamedTuple):
    """Where a canonical array is, and what its values look at."""

    variable: Any
    field: tuple[int, int, int]
    """(C, H, W) that one output looks at; of a vector: 1, 1, 1."""
    shape: tuple[int, ...]
    """In the canonical layout."""

    def canonical(self, array: Any) -> Any:
        """``array``, a NumPy or JAX array in Keras's layout, in the canonical one: maybe a view."""
        channels, height, width = self.field
        return array.reshape(height, width, channels, -1).transpose(3, 2, 0, 1).reshape(self.shape)

    def kerass(self, array: NDArray[Any]) -> NDArray[Any]:
        """``array`` in the canonical layout, in Keras's."""
        # (out, C, H, W), whether a convolution or what a dense layer sees of a flattened image.
        turned = array.reshape(-1, *self.field).transpose(2, 3, 1, 0)
        return turned.reshape(self.variable.shape)


def require(setup: Setup, back_end: str, name: str, modes: Iterable[str]) -> None:
    """Nothing.

    Raises ``ValueError``: unknown model or mode, or Keras computes with another back end.
    """
    if setup.model.name not in MODELS:
        raise ValueError(
            f"No {name} model {setup.model.name!r}: expected one of {', '.join(MODELS)}"
        )
    if setup.mode not in modes:
        raise ValueError(f"No {name} mode {setup.mode!r}: expected one of {', '.join(modes)}")
    if keras.config.backend() != back_end:
        raise ValueError(
            f"Keras computes with {keras.config.backend()}, expected {back_end}: "
            f"set KERAS_BACKEND={back_end}"
        )


class Network:
    """A Keras model and its optimizer, as new."""

    def __init__(self, setup: Setup) -> None:
        # Of all that is made from here on: layers, inputs, loss, optimizer, metrics.
        keras.config.set_floatx(setup.precision)
        PROMOTED["float64"] = "float64" if setup.precision == "float64" else _USUAL
        # Dropout layers draw their own seeds from this one when they are made.
        keras.utils.set_random_seed(setup.seed)
        self._precision = setup.precision
        self.model = MODELS[setup.model.name]()
        if not setup.dropout:
            for layer in self.model.layers:
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0.0
        self.optimizer = _optimizer(setup)
        self.optimizer.build(self.model.trainable_variables)
        self.places = _places(self.model, setup.model.weight_shapes())
        held = {id(place.variable) for place in self.places.values()}
        # What dropout masks are drawn from.
        seeds = [each for each in self.model.variables if id(each) not in held]
        self._new_state = [(each, _on_host(each)) for each in (*self.optimizer.variables, *seeds)]

    def load(self, weights: Weights) -> None:
        """The model's variables hold exactly ``weights``, the optimizer's are as new.

        Dropout masks start again from ``Setup.seed``.
        """
        for name, place in self.places.items():
            place.variable.assign(place.kerass(np.asarray(weights[name], self._precision)))
        # In place: what was traced or compiled holds these variables.
        for variable, value in self._new_state:
            variable.assign(value)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → what the model's variables hold, on the host, a copy."""
        return {
            name: np.array(place.canonical(_on_host(place.variable)), order="C")
            for name, place in self.places.items()
        }

    def layers(self) -> list[LayerLine]:
        """Keras's layers in the order of ``Model.layers``; one with an activation counts as one."""
        return [
            LayerLine(
                name=layer.name.replace("_", ".") if layer.trainable_variables else "",
                kind=type(layer).__name__,
                output_shape=tuple(layer.output.shape[1:]),
                parameters=sum(math.prod(each.shape) for each in layer.trainable_variables),
            )
            for layer in self.model.layers
            if not isinstance(layer, keras.layers.InputLayer)
        ]


def _on_host(variable: Any) -> NDArray[Any]:
    array: NDArray[Any] = keras.ops.convert_to_numpy(variable)
    return array.copy()


def _places(model: Any, shapes: dict[str, tuple[int, ...]]) -> dict[str, Place]:
    """Each canonical name of ``shapes`` → its place in ``model``.

    A dense layer behind a ``Flatten`` looks at an image, whose values stand in another order here.
    """
    images = {
        id(layer.output): layer.input.shape[1:]
        for layer in model.layers
        if isinstance(layer, keras.layers.Flatten)
    }
    places: dict[str, Place] = {}
    for name, shape in shapes.items():
        owner, _, part = name.rpartition(".")
        layer = model.get_layer(owner.replace(".", "_"))
        normalizes = isinstance(layer, keras.layers.BatchNormalization)
        variable = getattr(layer, (STATISTICS if normalizes else KERNELS)[part])
        looked_at = images.get(id(layer.input), variable.shape[:-1]) if part == "weight" else ()
        height, width, channels = (1, 1, 1, *looked_at)[-3:]
        places[name] = Place(variable, (channels, height, width), shape)
    return places


def _optimizer(setup: Setup) -> Any:
    """The recipe's optimizer with every constant given."""
    recipe = setup.optimizer
    off: dict[str, Any] = {
        "weight_decay": None,
        "clipnorm": None,
        "clipvalue": None,
        "global_clipnorm": None,
        "use_ema": False,
        "loss_scale_factor": None,
        "gradient_accumulation_steps": None,
    }
    if isinstance(recipe, Adam):
        return keras.optimizers.Adam(
            learning_rate=recipe.learning_rate,
            beta_1=recipe.beta1,
            beta_2=recipe.beta2,
            epsilon=recipe.epsilon,
            amsgrad=False,
            **off,
        )
    return keras.optimizers.SGD(
        learning_rate=recipe.learning_rate, momentum=recipe.momentum, nesterov=False, **off
    )
