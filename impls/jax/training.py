"""How a Flax NNX model is trained: by a pure function of its state, or by ``nnx.jit`` in place.

Both take the same model, loss and optimizer, one call a step, and hold the sums that the suite asks
for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from impls.jax.sums import added, zero_like, zeros

Arrays = Mapping[tuple[str, ...], Any]
"""JAX arrays by attribute: ``arrays["conv1", "kernel"]``."""


class Training(Protocol):
    """One model with its optimizer and its sums, on one device."""

    def load(self, arrays: Arrays) -> None:
        """The model holds copies of ``arrays``, the optimizer is as new, the sums are 0."""

    def arrays(self) -> Arrays:
        """All that the model holds now. Only until the next step: then they may be gone."""

    def step(self, images: Any, labels: Any) -> None:
        """One optimizer step has been issued, and its loss and hits are added up."""

    def sums(self) -> tuple[Any, Any]:
        """Loss, as ``added`` keeps it, and hits since ``clear``, on the device."""

    def clear(self) -> None:
        """The sums are 0."""

    def logits(self, images: Any) -> Any:
        """(B, 10) on the device, in inference mode."""

    def evaluated(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Summed loss and hits of a batch in inference mode, on the device."""

    def model(self) -> Any:
        """The model as it is now, in inference mode."""

    def wait(self) -> None:
        """All steps issued so far are finished."""


class State(NamedTuple):
    """All that a step changes, each a tree of arrays."""

    parameters: Any
    rest: Any
    """Running statistics, and what dropout masks are drawn from."""
    optimizer: Any
    loss: Any
    correct: Any


class CompiledTraining:
    """Mode compiled: state in, state out, whose memory is handed on from step to step.

    State is kept as a list of arrays: JAX walks through a list in C++, and through nested
    states in Python, at each call.
    https://flax.readthedocs.io/en/latest/guides/performance.html
    """

    def __init__(self, model: Any, optimizer: Any, device: Any) -> None:
        self._optimizer = optimizer
        model.train()
        self._trained = nnx.graphdef(model)
        model.eval()
        self._used = nnx.graphdef(model)
        _, parameters, rest = nnx.split(model, nnx.Param, ...)
        self._parts = jax.device_put((nnx.as_pure(parameters), nnx.as_pure(rest)), device)
        self._tree = jax.tree.structure(jax.eval_shape(self._begun, *self._parts))
        self._begin = jax.jit(lambda *parts: jax.tree.leaves(self._begun(*parts)))
        self._step = jax.jit(self._stepped, donate_argnums=0)
        self._logits = jax.jit(self._inferred)
        self._evaluate = jax.jit(self._evaluated)
        self._leaves: list[Any] = self._begin(*self._parts)

    def load(self, arrays: Arrays) -> None:
        """The model holds copies of ``arrays``, the optimizer is as new, the sums are 0."""
        self._leaves = self._begin(*_replaced(self._parts, arrays))

    def arrays(self) -> Arrays:
        """All that the model holds now, until the next step."""
        state = self.state(self._leaves)
        return by_attribute(state.parameters) | by_attribute(state.rest)

    def step(self, images: Any, labels: Any) -> None:
        """One optimizer step has been issued, and its loss and hits are added up."""
        self._leaves = self._step(self._leaves, images, labels)

    def sums(self) -> tuple[Any, Any]:
        """Loss and hits since ``clear``: the last two leaves."""
        return self._leaves[-2], self._leaves[-1]

    def clear(self) -> None:
        """The sums are 0."""
        self._leaves[-2:] = map(zero_like, self.sums())

    def logits(self, images: Any) -> Any:
        """(B, 10) on the device, in inference mode."""
        return self._logits(self._leaves, images)

    def evaluated(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Summed loss and hits of a batch in inference mode, on the device."""
        loss_sum, correct = self._evaluate(self._leaves, images, labels)
        return loss_sum, correct

    def model(self) -> Any:
        """The model as it is now, in inference mode."""
        state = self.state(self._leaves)
        return nnx.merge(self._used, state.parameters, state.rest)

    def wait(self) -> None:
        """All steps issued so far are finished."""
        jax.block_until_ready(self._leaves)

    @property
    def leaves(self) -> list[Any]:
        """The state as a list of arrays, which the next step uses up."""
        return self._leaves

    @leaves.setter
    def leaves(self, leaves: list[Any]) -> None:
        self._leaves = leaves

    def state(self, leaves: list[Any]) -> State:
        """What a list of arrays means."""
        state: State = jax.tree.unflatten(self._tree, leaves)
        return state

    def differentiated(self, state: State, images: Any, labels: Any) -> tuple[Any, Any, Any, Any]:
        """Gradients of the mean loss; summed loss, hits, and the ``rest`` after this step."""

        def loss_of(parameters: Any) -> Any:
            model = nnx.merge(self._trained, parameters, state.rest)
            mean, loss_sum, correct = losses(model(images), labels)
            _, _, rest = nnx.split(model, nnx.Param, ...)
            return mean, (loss_sum, correct, nnx.as_pure(rest))

        gradients, after = jax.grad(loss_of, has_aux=True)(state.parameters)
        return gradients, *after

    def updated(self, state: State, gradients: Any) -> State:
        """The optimizer has taken a step by ``gradients``."""
        updates, optimizer = self._optimizer.update(gradients, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        return state._replace(parameters=parameters, optimizer=optimizer)

    def _begun(self, parameters: Any, rest: Any) -> State:
        loss, correct = zeros(parameters)
        # Copies: what is donated later must belong to nobody else.
        return State(
            parameters=jax.tree.map(jnp.copy, parameters),
            rest=jax.tree.map(jnp.copy, rest),
            optimizer=self._optimizer.init(parameters),
            loss=loss,
            correct=correct,
        )

    def _stepped(self, leaves: list[Any], images: Any, labels: Any) -> list[Any]:
        state = self.state(leaves)
        gradients, loss_sum, correct, rest = self.differentiated(state, images, labels)
        state = self.updated(state, gradients)._replace(
            rest=rest, loss=added(state.loss, loss_sum), correct=state.correct + correct
        )
        after: list[Any] = jax.tree.leaves(state)
        return after

    def _inferred(self, leaves: list[Any], images: Any) -> Any:
        state = self.state(leaves)
        return nnx.merge(self._used, state.parameters, state.rest)(images)

    def _evaluated(self, leaves: list[Any], images: Any, labels: Any) -> tuple[Any, Any]:
        _, loss_sum, correct = losses(self._inferred(leaves, images), labels)
        return loss_sum, correct


class Sums(nnx.Metric):  # type: ignore[misc]
    """Loss and hits, as an ``nnx.Metric``. ``nnx.metrics.Average`` keeps a plain float32 sum."""

    def __init__(self, model: Any, device: Any) -> None:
        loss, correct = jax.device_put(zeros(nnx.state(model, nnx.Param)), device)
        self.loss = nnx.metrics.MetricState(loss)
        self.correct = nnx.metrics.MetricState(correct)

    def reset(self) -> None:
        """Both are 0."""
        self.loss[...] = zero_like(self.loss[...])
        self.correct[...] = zero_like(self.correct[...])

    def update(self, **values: Any) -> None:
        """``loss_sum`` and ``correct`` of a batch are added."""
        self.loss[...] = added(self.loss[...], values["loss_sum"])
        self.correct[...] += values["correct"]


class NnxTraining:
    """Mode nnx: the objects themselves go into ``nnx.jit``, which changes them in place.

    https://flax.readthedocs.io/en/latest/mnist_tutorial.html
    """

    def __init__(self, model: Any, optimizer: Any, device: Any) -> None:
        self._model = model
        self._trains = True
        nnx.update(model, jax.device_put(nnx.as_pure(nnx.state(model)), device))
        self._optimizer = nnx.Optimizer(model, optimizer, wrt=nnx.Param)
        self._sums = Sums(model, device)
        self._new_model = nnx.as_pure(nnx.state(model))
        self._new_optimizer = jax.device_put(nnx.as_pure(nnx.state(self._optimizer)), device)
        states = (nnx.state(model), nnx.state(self._optimizer), nnx.state(self._sums))
        self._variables = jax.tree.leaves(states, is_leaf=_is_variable)

    def load(self, arrays: Arrays) -> None:
        """The model holds ``arrays``, the optimizer is as new, the sums are 0."""
        nnx.update(self._model, _replaced(self._new_model, arrays))
        nnx.update(self._optimizer, self._new_optimizer)
        self._sums.reset()

    def arrays(self) -> Arrays:
        """All that the model holds now."""
        return by_attribute(nnx.as_pure(nnx.state(self._model)))

    def step(self, images: Any, labels: Any) -> None:
        """One optimizer step has been issued, and its loss and hits are added up."""
        _nnx_step(self._in_mode(trains=True), self._optimizer, self._sums, images, labels)

    def sums(self) -> tuple[Any, Any]:
        """Loss and hits since ``clear``."""
        return self._sums.loss[...], self._sums.correct[...]

    def clear(self) -> None:
        """The sums are 0."""
        self._sums.reset()

    def logits(self, images: Any) -> Any:
        """(B, 10) on the device, in inference mode."""
        return _nnx_logits(self.model(), images)

    def evaluated(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Summed loss and hits of a batch in inference mode, on the device."""
        loss_sum, correct = _nnx_evaluated(self.model(), images, labels)
        return loss_sum, correct

    def model(self) -> Any:
        """The model itself, in inference mode."""
        return self._in_mode(trains=False)

    def wait(self) -> None:
        """All steps issued so far are finished."""
        jax.block_until_ready([variable.get_raw_value() for variable in self._variables])

    def _in_mode(self, *, trains: bool) -> Any:
        """The model, set to training or inference where it isn't yet: that walks through it."""
        if trains != self._trains:
            self._trains = trains
            self._model.train() if trains else self._model.eval()
        return self._model


@nnx.jit  # type: ignore[untyped-decorator, unused-ignore]
def _nnx_step(model: Any, optimizer: Any, sums: Any, images: Any, labels: Any) -> None:
    def loss_of(model: Any) -> Any:
        mean, *values = losses(model(images), labels)
        return mean, values

    (_, (loss_sum, correct)), gradients = nnx.value_and_grad(loss_of, has_aux=True)(model)
    optimizer.update(model, gradients)
    sums.update(loss_sum=loss_sum, correct=correct)


@nnx.jit  # type: ignore[untyped-decorator, unused-ignore]
def _nnx_logits(model: Any, images: Any) -> Any:
    return model(images)


@nnx.jit  # type: ignore[untyped-decorator, unused-ignore]
def _nnx_evaluated(model: Any, images: Any, labels: Any) -> Any:
    _, loss_sum, correct = losses(model(images), labels)
    return loss_sum, correct


def losses(logits: Any, labels: Any) -> tuple[Any, Any, Any]:
    """Mean and summed loss of a batch, and its hits."""
    each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    correct = (logits.argmax(axis=-1) == labels).sum(dtype=jnp.int32)
    return each.mean(), each.sum(), correct


def by_attribute(tree: Any) -> dict[tuple[str, ...], Any]:
    """The leaves of a state, each under the names that lead to it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_names(path): leaf for path, leaf in leaves}


def _replaced(tree: Any, arrays: Arrays) -> Any:
    """``tree`` with those of its leaves that ``arrays`` has too taken from there."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: arrays.get(_names(path), leaf), tree)


def _names(path: Any) -> tuple[str, ...]:
    return tuple(str(entry.key) for entry in path if hasattr(entry, "key"))


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, nnx.Variable)
