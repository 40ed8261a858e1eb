"""``Model.fit``, ``Model.evaluate``, and the sums that follow from them, on any back end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras

from impls.adapter import Metrics

NOTHING = Metrics(0.0, 0, 0)


class Fit:
    """A model that is trained by ``fit``: each call is one epoch over the batches it is given."""

    def __init__(self, model: Any, optimizer: Any, *, jit_compile: bool) -> None:
        """``jit_compile`` is never left to "auto", which changes with the device."""
        self._model = model
        self._metrics = NOTHING
        model.compile(
            optimizer=optimizer,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=jit_compile,
            run_eagerly=False,
            steps_per_execution=1,
        )

    def train(self, batches: Any, examples: int) -> None:
        """One optimizer step per batch has been taken by one call of ``fit``.

        ``batches``: whatever ``fit`` takes as batches; ``examples``: how many are in them.
        """
        means = self._fitted(batches)
        self._metrics = sum_of(self._metrics, _sums_of_means(means, examples))

    def train_on_pairs(self, pairs: Iterable[tuple[Any, Any]], steps: int) -> None:
        """Likewise for ``steps`` (images, labels), which ``fit`` asks for one by one."""
        sizes: list[int] = []

        def counted() -> Iterator[tuple[Any, Any]]:
            for images, labels in pairs:
                sizes.append(len(labels))
                yield images, labels

        means = self._fitted(counted(), steps_per_epoch=steps)
        self._metrics = sum_of(self._metrics, _sums_of_means(means, sum(sizes)))

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        metrics, self._metrics = self._metrics, NOTHING
        return metrics

    def evaluate(self, batches: Any, examples: int) -> Metrics:
        """Loss and hits of the batches in inference mode."""
        return self._evaluated(batches, examples)

    def evaluate_pairs(self, pairs: Sequence[tuple[Any, Any]]) -> Metrics:
        """Likewise of (images, labels)."""
        examples = sum(len(labels) for _, labels in pairs)
        return self._evaluated((pair for pair in pairs), examples, steps=len(pairs))

    def logits(self, images: Any) -> Any:
        """(B, 10) array for (B, H, W, C) images, in inference mode."""
        return self._model.predict_on_batch(images)

    def _evaluated(self, batches: Any, examples: int, **options: Any) -> Metrics:
        means = self._model.evaluate(batches, verbose=0, return_dict=True, **options)
        return _sums_of_means(means, examples)

    def _fitted(self, batches: Any, **options: Any) -> dict[str, float]:
        """Mean loss and accuracy of an epoch."""
        history = self._model.fit(batches, epochs=1, shuffle=False, verbose=0, **options).history
        return {name: values[-1] for name, values in history.items()}


def _sums_of_means(means: dict[str, float], examples: int) -> Metrics:
    """What Keras's mean loss and accuracy over ``examples`` amount to.

    Keras keeps both as float32 sums over examples and divides at the end, so that hits come out
    exactly below 2²⁴ examples and the loss to 7 digits.
    """
    return Metrics(means["loss"] * examples, round(means["accuracy"] * examples), examples)


def sum_of(one: Metrics, other: Metrics) -> Metrics:
    """The sums of both together."""
    return Metrics(
        loss_sum=one.loss_sum + other.loss_sum,
        correct=one.correct + other.correct,
        examples=one.examples + other.examples,
    )
