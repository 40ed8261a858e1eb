"""Keras on TensorFlow behind the suite's ``Adapter``.

Tried on LeNet, batch 256, 2 threads, windows of 20 steps in turns (2-core Xeon virtual machine,
CPU; median ratio of rates, above 1 is faster than what is used here; the same against itself came
out at 0.98):

* compiled, one call per step instead of one per window: 0.90; xla: 0.96
* the batch size fixed in the traced signature: 1.02
* xla around the whole loop instead of the step: 0.23
* xla instead of compiled: 0.40
* eager instead of compiled: 0.22 to 0.24
* within the noise, all with one call per step: ``tf.nn.sparse_softmax_cross_entropy_with_logits``
  instead of Keras's loss 0.98 to 0.99; ``keras.metrics`` 0.92 to 1.04; no metrics 0.99 to 1.03; SGD
  written out instead of ``optimizer.apply`` 0.98
* 1 inter-op thread: 1.00; ``TF_ENABLE_ONEDNN_OPTS=0``: 0.31

The first step takes 0.7 s compiled, 2.5 s with xla.
"""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"  # read once, when keras is imported

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from impls.adapter import Adam, Adapter, Metrics, Setup, Weights
from impls.keras.models import MODELS


def create(setup: Setup) -> Adapter:
    """The adapter of ``setup``'s model on its device, with TensorFlow set to its threads.

    Raises ``ValueError``: unknown model or mode, or a device that is not there.
    """
    if setup.model.name not in MODELS:
        raise ValueError(
            f"No keras model {setup.model.name!r}: expected one of {', '.join(MODELS)}"
        )
    if setup.mode not in ("eager", "compiled", "xla"):
        raise ValueError(f"No keras mode {setup.mode!r}: expected eager, compiled or xla")
    device = _device(setup.device)
    # TensorFlow refuses a change once it has started, even to the same number.
    if tf.config.threading.get_intra_op_parallelism_threads() != setup.threads:
        tf.config.threading.set_intra_op_parallelism_threads(setup.threads)
        tf.config.threading.set_inter_op_parallelism_threads(setup.threads)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    with tf.device(device):
        return KerasAdapter(setup, device)


class KerasAdapter:
    """A Keras model, its optimizer and its sums on one device."""

    def __init__(self, setup: Setup, device: str) -> None:
        self._device = device
        self._shapes = setup.model.parameter_shapes()
        self._model = MODELS[setup.model.name]()
        self._loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        self._optimizer = _optimizer(setup)
        self._optimizer.build(self._model.trainable_variables)
        self._new_state = [variable.numpy() for variable in self._optimizer.variables]
        # float64, as a float32 sum over an epoch would be off in the sixth digit.
        self._loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._correct = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._examples = 0
        self._step, self._steps, self._forward = self._one_step, self._all_steps, self._inference
        if setup.mode != "eager":
            self._compile(xla=setup.mode == "xla")

    def _compile(self, *, xla: bool) -> None:
        """Training and inference are graphs of one trace, whatever the number and size of batches.

        ``jit_compile`` is never left to "auto", which changes with the device. XLA compiles the
        step and not the loop around it, as a step inside its own loops takes four times longer.
        """
        image = self._model.input_shape[1:]
        if xla:
            self._step = tf.function(self._one_step, jit_compile=True)
        self._steps = tf.function(
            self._all_steps,
            input_signature=[
                tf.TensorSpec([None, None, *image], tf.float32),
                tf.TensorSpec([None, None], tf.int64),
            ],
            jit_compile=False,
        )
        self._forward = tf.function(
            self._inference,
            input_signature=[tf.TensorSpec([None, *image], tf.float32)],
            jit_compile=xla,
        )

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0."""
        for name, (variable, field) in self._parameters().items():
            # (out, C, H, W), whether a convolution or what a dense layer sees of a flattened image.
            array = np.asarray(weights[name], dtype=np.float32).reshape(-1, *field)
            variable.assign(array.transpose(2, 3, 1, 0).reshape(variable.shape))
        # In place: the traced functions hold these variables.
        for variable, value in zip(self._optimizer.variables, self._new_state, strict=True):
            variable.assign(value)
        self.take_metrics()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → float32 array on the host, a copy."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, (variable, (channels, height, width)) in self._parameters().items():
            array = variable.numpy().reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
            arrays[name] = np.ascontiguousarray(array.reshape(self._shapes[name]))
        return arrays

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """(S, B, H, W, C) float32 and (S, B) int64 tensors on the device."""
        with tf.device(self._device):
            return tf.constant(images.transpose(0, 1, 3, 4, 2)), tf.constant(labels)

    def train(self, batches: Any) -> None:
        """One optimizer step per batch has been issued, and its loss and hits are added up."""
        images, labels = batches
        with tf.device(self._device):
            self._steps(images, labels)
        self._examples += labels.shape[0] * labels.shape[1]

    def synchronize(self) -> None:
        """All work issued so far is finished."""
        tf.test.experimental.sync_devices()

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        metrics = Metrics(float(self._loss_sum.numpy()), int(self._correct.numpy()), self._examples)
        self._loss_sum.assign(0.0)
        self._correct.assign(0)
        self._examples = 0
        return metrics

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy over the staged batches in inference mode."""
        loss_sum, hits, examples = 0.0, 0, 0
        for images, labels in zip(*batches, strict=True):
            logits = self._forward(images)
            loss_sum += float(tf.reduce_sum(self._loss(labels, logits)))
            hits += int(_hits(labels, logits))
            examples += len(labels)
        return Metrics(loss_sum, hits, examples)

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, 10) float32 logits of (B, C, H, W) images in inference mode, on the host."""
        with tf.device(self._device):
            batch = tf.constant(images.transpose(0, 2, 3, 1))
        logits: NDArray[Any] = self._forward(batch).numpy()
        return logits

    def device(self) -> str:
        """``cpu`` or ``gpu:N``, asked of the first parameter."""
        kind, index = self._model.trainable_variables[0].value.device.split(":")[-2:]
        return "cpu" if kind == "CPU" else f"gpu:{index}"

    def _all_steps(self, images: Any, labels: Any) -> None:
        """A step per batch; traced, the loop becomes a loop of the graph."""
        for index in tf.range(tf.shape(images)[0]):
            self._step(images[index], labels[index])

    def _one_step(self, images: Any, labels: Any) -> None:
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self._model(images, training=True)
            losses = self._loss(labels, logits)
            loss = tf.reduce_mean(losses)
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        self._loss_sum.assign_add(tf.cast(tf.reduce_sum(losses), tf.float64))
        self._correct.assign_add(_hits(labels, logits))

    def _inference(self, images: Any) -> Any:
        return self._model(images, training=False)

    def _parameters(self) -> dict[str, tuple[Any, tuple[int, int, int]]]:
        """Canonical name → variable, and the (C, H, W) that one output looks at; a bias at 1."""
        parameters: dict[str, tuple[Any, tuple[int, int, int]]] = {}
        flattened = None
        for layer in self._model.layers:
            if isinstance(layer, keras.layers.Flatten):
                flattened = layer.input.shape[1:]
            elif isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
                height, width, channels = flattened or (1, 1, *layer.kernel.shape[:-1])[-3:]
                parameters[f"{layer.name}.weight"] = (layer.kernel, (channels, height, width))
                parameters[f"{layer.name}.bias"] = (layer.bias, (1, 1, 1))
                flattened = None
        return parameters


def _hits(labels: Any, logits: Any) -> Any:
    """The number of examples, int64, whose largest logit is the label's."""
    return tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels)


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


def _device(name: str) -> str:
    """``cpu``, ``gpu`` or ``gpu:N`` as the name of a TensorFlow device that exists."""
    kind, _, index = name.partition(":")
    if name == "cpu":
        return "/CPU:0"
    if kind != "gpu" or not (index or "0").isdigit():
        raise ValueError(f"No keras device {name!r}: expected cpu, gpu or gpu:N")
    gpus = tf.config.list_physical_devices("GPU")
    if int(index or 0) >= len(gpus):
        raise ValueError(
            f"No device {name!r}: TensorFlow {tf.__version__} sees {len(gpus)} GPUs; "
            "use --device cpu, or install tensorflow[and-cuda]"
        )
    # TensorFlow takes all of a GPU's memory otherwise, and other contenders are on it too.
    # https://www.tensorflow.org/guide/gpu#limiting_gpu_memory_growth
    tf.config.experimental.set_memory_growth(gpus[int(index or 0)], True)
    return f"/GPU:{index or 0}"
