"""How a Keras model is trained on JAX: by a pure function of its variables, or by ``Model.fit``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import keras
import numpy as np

from impls.adapter import Metrics
from impls.jax.sums import added, zero_like, zeros
from impls.keras.fit import Fit
from impls.keras.network import Network

Batch = tuple[Any, Any]
"""Images (B, H, W, C) and labels (B,) int32, on the device."""


class Training(Protocol):
    """Trains one network, and evaluates it in the same way of execution."""

    def begin(self) -> None:
        """Training goes on from what the network's variables hold, and the sums are 0."""

    def values(self) -> list[Any]:
        """Arrays of all the model's variables, trainable ones first, until the next step."""

    def train(self, batches: Iterable[Batch], steps: int) -> None:
        """One optimizer step for each of the ``steps`` batches has been issued, and its loss and
        hits are added up."""

    def results(self) -> list[Any]:
        """What the latest step left on the device."""

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""

    def evaluate(self, batches: Sequence[Batch]) -> Metrics:
        """Loss and hits of the batches in inference mode."""

    def logits(self, images: Any) -> Any:
        """(B, 10) array in inference mode."""


class State(NamedTuple):
    """All that a step changes, each a list of arrays in the order of Keras's variables."""

    trainable: list[Any]
    other: list[Any]
    """Running statistics, and what dropout masks are drawn from."""
    optimizer: list[Any]
    loss: Any
    correct: Any


def _begun(trainable: list[Any], other: list[Any], optimizer: list[Any]) -> State:
    """Of copies: what is donated later must belong to nobody else."""
    trainable, other, optimizer = jax.tree.map(jnp.copy, (trainable, other, optimizer))
    return State(trainable, other, optimizer, *zeros(trainable))


class CompiledTraining:
    """Mode compiled: state in, state out, whose memory is handed on from step to step.

    https://keras.io/guides/writing_a_custom_training_loop_in_jax/
    """

    def __init__(self, network: Network, device: Any) -> None:
        self._model, self._optimizer = network.model, network.optimizer
        self._device = device
        self._loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        self._begin = jax.jit(_begun)
        self._step = jax.jit(self._stepped, donate_argnums=0)
        self._logits = jax.jit(self._inferred)
        self._evaluate = jax.jit(self._evaluated)
        self._examples = 0
        self.begin()

    def begin(self) -> None:
        """Training goes on from what the network's variables hold, and the sums are 0."""
        model, optimizer = self._model, self._optimizer
        lists = [
            [variable.value for variable in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                optimizer.variables,
            )
        ]
        self._state: State = self._begin(*jax.device_put(lists, self._device))
        self._examples = 0

    def values(self) -> list[Any]:
        """Arrays of all the model's variables, trainable ones first, until the next step."""
        return [*self._state.trainable, *self._state.other]

    def give_back(self) -> None:
        """The model's variables hold what training has made of them, a copy."""
        variables = [*self._model.trainable_variables, *self._model.non_trainable_variables]
        for variable, value in zip(variables, self.values(), strict=True):
            variable.assign(jnp.copy(value))

    def train(self, batches: Iterable[Batch], steps: int) -> None:
        """One optimizer step per batch has been issued, and its loss and hits are added up."""
        for images, labels in batches:
            self._state = self._step(self._state, images, labels)
            self._examples += len(labels)

    def results(self) -> list[Any]:
        """The state."""
        leaves: list[Any] = jax.tree.leaves(self._state)
        return leaves

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        sums = self._state.loss, self._state.correct
        loss, correct = jax.device_get(sums)
        metrics = Metrics(float(loss.sum(dtype=np.float64)), int(correct), self._examples)
        loss, correct = map(zero_like, sums)
        self._state = self._state._replace(loss=loss, correct=correct)
        self._examples = 0
        return metrics

    def evaluate(self, batches: Sequence[Batch]) -> Metrics:
        """Loss and hits of the batches in inference mode."""
        parts = jax.device_get([self._evaluate(self._state, *pair) for pair in batches])
        return Metrics(
            loss_sum=sum(float(loss_sum) for loss_sum, _ in parts),
            correct=sum(int(correct) for _, correct in parts),
            examples=sum(len(labels) for _, labels in batches),
        )

    def logits(self, images: Any) -> Any:
        """(B, 10) array in inference mode."""
        return self._logits(self._state, jax.device_put(images, self._device))

    @property
    def state(self) -> State:
        """All that a step changes; the next step uses it up."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state

    def differentiated(self, state: State, images: Any, labels: Any) -> tuple[Any, Any, Any, Any]:
        """Gradients of the mean loss; summed loss, hits, and the ``other`` after this step."""

        def loss_of(trainable: Any) -> Any:
            logits, other = self._model.stateless_call(
                trainable, state.other, images, training=True
            )
            losses, correct = self._losses(logits, labels)
            return losses.mean(), (losses.sum(), correct, other)

        gradients, after = jax.grad(loss_of, has_aux=True)(state.trainable)
        return gradients, *after

    def updated(self, state: State, gradients: Any) -> State:
        """The optimizer has taken a step by ``gradients``."""
        trainable, optimizer = self._optimizer.stateless_apply(
            state.optimizer, gradients, state.trainable
        )
        return state._replace(trainable=trainable, optimizer=optimizer)

    def _stepped(self, state: State, images: Any, labels: Any) -> State:
        gradients, loss_sum, correct, other = self.differentiated(state, images, labels)
        return self.updated(state, gradients)._replace(
            other=other, loss=added(state.loss, loss_sum), correct=state.correct + correct
        )

    def _inferred(self, state: State, images: Any) -> Any:
        logits, _ = self._model.stateless_call(state.trainable, state.other, images, training=False)
        return logits

    def _evaluated(self, state: State, images: Any, labels: Any) -> tuple[Any, Any]:
        losses, correct = self._losses(self._inferred(state, images), labels)
        return losses.sum(), correct

    def _losses(self, logits: Any, labels: Any) -> tuple[Any, Any]:
        correct = (logits.argmax(axis=-1) == labels).sum(dtype=jnp.int32)
        return self._loss(labels, logits), correct


class FitTraining:
    """``Model.fit`` and ``Model.evaluate``: mode fit. Each call is one epoch over its batches.

    Batches come from a generator. ``fit`` makes its steps' state of the variables when it begins,
    and gives it back to them when it ends.
    """

    def __init__(self, network: Network) -> None:
        self._model = network.model
        self._fit = Fit(network.model, network.optimizer, jit_compile=True)

    def begin(self) -> None:
        """The sums are 0: ``fit`` itself begins from the variables."""
        self._fit.take_metrics()

    def values(self) -> list[Any]:
        """Arrays of all the model's variables, trainable ones first, until the next step."""
        model = self._model
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        return [variable.value for variable in variables]

    def train(self, batches: Iterable[Batch], steps: int) -> None:
        """One optimizer step per batch has been taken by one call of ``fit``."""
        self._fit.train_on_pairs(batches, steps)

    def results(self) -> list[Any]:
        """What ``fit`` has given back."""
        return self.values()

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        return self._fit.take_metrics()

    def evaluate(self, batches: Sequence[Batch]) -> Metrics:
        """Loss and hits of the batches in inference mode."""
        return self._fit.evaluate_pairs(batches)

    def logits(self, images: Any) -> Any:
        """(B, 10) array in inference mode."""
        return self._fit.logits(images)
