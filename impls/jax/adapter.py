"""JAX behind the suite's ``Adapter``: models in Flax NNX, optimizers from Optax.

Tried on LeNet, batch 256, 2 threads, windows of 10 or 20 steps in turns, in a loop written by hand
(2-core virtual machine, CPU, **beside other programs, which had most of it**: so by CPU time, in
brackets by rate; median ratio, above 1 is faster than what is used here; the same against itself
came out at 1.04 (0.95 to 1.04)):

* 2 × 2 max-pooling by XLA's ``reduce_window``, as ``nnx.max_pool`` does it: 0.73 (0.79 to 0.81)
* by ``jnp.maximum`` of strided slices instead of ``max`` over two axes: 1.01 (1.09)
* ``lax.scan`` over the steps of a window: 0.13 (0.17); unrolled: 0.99 (0.97), and compiled for
  each number of steps
* ``--xla_cpu_use_fusion_emitters=false``: 0.89 (0.85)
* within the noise: ``--xla_cpu_enable_fast_math=true`` 1.02,
  ``--xla_cpu_enable_concurrency_optimized_scheduler=true`` 1.05, ``--xla_cpu_use_onednn=true`` and
  fusion by XNNPACK 1.00, ``--xla_cpu_prefer_vector_width=512`` 0.98

Threads: with ``PJRT_NPROC=1`` one thread of the process computes, with 2 there are two, by the CPU
time of each; ``OMP_NUM_THREADS`` changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from numpy.typing import NDArray

from impls.adapter import (
    Adam,
    LayerLine,
    LoadedBatch,
    LoaderKind,
    LoadingAdapter,
    Metrics,
    Setup,
    Weights,
)
from impls.definition import Dense, Flatten, Model, Shape
from impls.jax.loader import endless_batches
from impls.jax.machine import device_named, peak_memory_bytes, places, set_precision
from impls.jax.models import MODELS
from impls.jax.training import CompiledTraining, NnxTraining, Training

TRAININGS: dict[str, Any] = {"compiled": CompiledTraining, "nnx": NnxTraining}


def create(setup: Setup) -> LoadingAdapter:
    """The adapter of ``setup``'s model on its device.

    XLA's CPU client reads its number of threads from ``PJRT_NPROC`` when a device is first asked
    for: the harness sets that, as ``impl.toml`` says.

    Raises ``ValueError``: unknown model or mode, or a device that is not there.
    """
    if setup.model.name not in MODELS:
        raise ValueError(f"No jax model {setup.model.name!r}: expected one of {', '.join(MODELS)}")
    if setup.mode not in TRAININGS:
        raise ValueError(f"No jax mode {setup.mode!r}: expected one of {', '.join(TRAININGS)}")
    device = device_named(setup.device)
    set_precision(setup.precision)
    with jax.default_device(device):
        return JaxAdapter(setup, device)


class JaxAdapter:
    """A Flax NNX model, its optimizer and its sums on one device, in canonical weights."""

    def __init__(self, setup: Setup, device: Any) -> None:
        self._setup = setup
        self._device = device
        self._training: Training = TRAININGS[setup.mode](_model(setup), _optimizer(setup), device)
        self._places = _places_of_weights(self._training.model(), setup.model)
        self._canonical = jax.jit(self._in_canonical_layout)
        self._examples = 0
        self._result: Any = None
        """How the latest step's results are placed."""
        self._loaded: Iterator[tuple[Any, Any]] = iter(())

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0.

        Dropout masks start again from ``Setup.seed``.
        """
        now = self._training.arrays()
        arrays = {}
        for name, (path, field) in self._places.items():
            # (out, C, H, W), whether a convolution or what a dense layer sees of a flattened image.
            array = np.asarray(weights[name], self._setup.precision).reshape(-1, *field)
            arrays[path] = array.transpose(2, 3, 1, 0).reshape(now[path].shape)
        self._training.load(jax.device_put(arrays, self._device))
        self._examples = 0

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → array of the setup's precision on the host, of its own."""
        now = self._training.arrays()
        # Always computed anew: JAX remembers what it has once brought to the host, which would make
        # a second reading cheaper, and on a CPU lends the very memory that the next step reuses.
        arrays = self._canonical({path: now[path] for path, _ in self._places.values()})
        return {name: np.asarray(arrays[name]) for name in self._places}

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """A list of (images, labels) on the device, one pair per step: (B, H, W, C) and (B,)."""
        pixels = images.astype(self._setup.precision, copy=False).transpose(0, 1, 3, 4, 2)
        pairs = list(zip(pixels, labels.astype(np.int32), strict=True))
        return jax.block_until_ready(jax.device_put(pairs, self._device))

    def train(self, batches: Any) -> None:
        """One optimizer step per pair has been issued, and its loss and hits are added up."""
        for images, labels in batches:
            self._training.step(images, labels)
            self._examples += len(labels)
        self._result = self._training.sums()[0].sharding

    def open_loader(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        workers: int,
        kind: LoaderKind,
    ) -> None:
        """Shuffled batches of (N, H, W) images and (N,) labels are to be had; see loader.py."""
        self._loaded = endless_batches(images, labels, self._setup, workers, kind)

    def train_from_loader(self, steps: int) -> None:
        """One optimizer step for each of the loader's next ``steps`` batches has been issued."""
        for images, labels in islice(self._loaded, steps):
            pixels = images.astype(self._setup.precision, copy=False)
            self._training.step(*jax.device_put((pixels, labels), self._device))
            self._examples += len(labels)

    def loaded_batches(self, count: int) -> Iterator[LoadedBatch]:
        """The loader's next ``count`` batches, in place of being trained on."""
        for images, labels in islice(self._loaded, count):
            yield LoadedBatch(images.transpose(0, 3, 1, 2), labels.astype(np.int64))

    def synchronize(self) -> None:
        """All steps issued so far are finished."""
        self._training.wait()

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        loss, correct = jax.device_get(self._training.sums())
        metrics = Metrics(float(loss.sum(dtype=np.float64)), int(correct), self._examples)
        self._training.clear()
        self._examples = 0
        return metrics

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy over the staged pairs in inference mode."""
        parts = jax.device_get([self._training.evaluated(*pair) for pair in batches])
        return Metrics(
            loss_sum=sum(float(loss_sum) for loss_sum, _ in parts),
            correct=sum(int(correct) for _, correct in parts),
            examples=sum(len(labels) for _, labels in batches),
        )

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, 10) logits of (B, C, H, W) images in inference mode, on the host."""
        pixels = images.astype(self._setup.precision, copy=False).transpose(0, 2, 3, 1)
        return np.asarray(self._training.logits(jax.device_put(pixels, self._device)))

    def device(self) -> str:
        """``cpu`` or ``gpu:N``, asked of every parameter."""
        now = self._training.arrays()
        return places(now[path].sharding for path, _ in self._places.values())

    def result_device(self) -> str:
        """Likewise, asked of the sum of losses that the latest step left; empty before it."""
        return "" if self._result is None else places([self._result])

    def peak_device_memory_bytes(self) -> int | None:
        """The most that arrays took of the GPU at once; None on a CPU."""
        return peak_memory_bytes(self._device)

    def layers(self) -> list[LayerLine]:
        """Modules that hold no others, as one image meets them; functions are no layers to Flax."""
        model = self._training.model()
        modules = {id(module): path for path, module in nnx.iter_modules(model)}
        inner = {path[:-1] for path in modules.values()}
        channels, height, width = self._setup.model.input_shape
        image = jax.ShapeDtypeStruct((1, height, width, channels), self._setup.precision)
        lines: list[LayerLine] = []

        def note(module: Any, output: Any) -> None:
            if modules[id(module)] in inner:
                return
            parameters = jax.tree.leaves(nnx.state(module, nnx.Param))
            lines.append(
                LayerLine(
                    name=".".join(modules[id(module)]) if parameters else "",
                    kind=type(module).__name__,
                    output_shape=tuple(output.shape[1:]),
                    parameters=sum(array.size for array in parameters),
                )
            )

        kinds = {type(module) for _, module in nnx.iter_modules(model)}
        with _noting(kinds, note):
            jax.eval_shape(lambda image: model(image), image)
        return lines

    def _in_canonical_layout(self, arrays: Any) -> dict[str, Any]:
        """Canonical name → array: a copy, also where the layout is the same."""
        shapes = self._setup.model.weight_shapes()
        canonical = {}
        for name, (path, (channels, height, width)) in self._places.items():
            array = arrays[path].reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
            canonical[name] = jax.numpy.copy(array.reshape(shapes[name]))
        return canonical


PARTS = {"weight": "kernel", "bias": "bias"}
STATISTICS = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
"""The canonical name of a layer's variable → Flax's."""

Field = tuple[int, int, int]
"""(C, H, W) that one output looks at; a vector: 1, 1, 1."""


def _model(setup: Setup) -> Any:
    """The model in the setup's precision, dropout off where it asks for that."""
    # In one piece: each way of drawing weights would be compiled by itself, for each shape.
    model = nnx.jit(lambda: MODELS[setup.model.name](nnx.Rngs(setup.seed)))()
    for _, module in nnx.iter_modules(model):
        if isinstance(module, nnx.Dropout) and not setup.dropout:
            module.rate = 0.0
    numbers = nnx.as_pure(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    nnx.update(model, jax.tree.map(lambda array: array.astype(setup.precision), numbers))
    return model


def _places_of_weights(model: Any, definition: Model) -> dict[str, tuple[tuple[str, ...], Field]]:
    """Canonical name → the attributes that lead to its array in ``model``, and its field.

    A dense layer behind a ``Flatten`` looks at an image, whose values stand in another order here.
    """
    images: dict[str, Shape] = {}
    steps = list(definition.elementary_steps())
    for before, step in pairwise(steps):
        if isinstance(before.layer, Flatten) and isinstance(step.layer, Dense):
            images[step.layer.name] = before.input_shape
    places: dict[str, tuple[tuple[str, ...], Field]] = {}
    for name, shape in definition.weight_shapes().items():
        owner, _, part = name.rpartition(".")
        module = model
        for attribute in owner.split("."):
            module = getattr(module, attribute)
        known = STATISTICS if isinstance(module, nnx.BatchNorm) else PARTS
        looked_at = images.get(owner, shape[1:]) if part == "weight" else ()
        channels, height, width = (*looked_at, 1, 1, 1)[:3]
        places[name] = (*owner.split("."), known[part]), (channels, height, width)
    return places


def _optimizer(setup: Setup) -> Any:
    """The recipe's optimizer with every constant given."""
    recipe = setup.optimizer
    if isinstance(recipe, Adam):
        return optax.adam(
            recipe.learning_rate,
            b1=recipe.beta1,
            b2=recipe.beta2,
            eps=recipe.epsilon,
            eps_root=0.0,
            nesterov=False,
        )
    return optax.sgd(recipe.learning_rate, momentum=recipe.momentum or None, nesterov=False)


@contextmanager
def _noting(kinds: Iterable[type], note: Callable[[Any, Any], None]) -> Iterator[None]:
    """Meanwhile ``note`` is called with each module of ``kinds`` that is called, and its output."""
    originals = {kind: kind.__dict__["__call__"] for kind in kinds if "__call__" in vars(kind)}

    def noting(call: Any) -> Any:
        def called(module: Any, *arguments: Any, **options: Any) -> Any:
            output = call(module, *arguments, **options)
            note(module, output)
            return output

        return called

    for kind, call in originals.items():
        kind.__call__ = noting(call)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for kind, call in originals.items():
            kind.__call__ = call  # type: ignore[method-assign]
