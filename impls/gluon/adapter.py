"""MXNet Gluon behind the suite's ``Adapter``.

Tried on LeNet, batch 256, 2 threads, windows of 20 steps in turns (2-core Xeon virtual machine,
CPU; median ratio of rates, above 1 is faster than what is used here; the same against itself came
out at 1.00 to 1.02):

* batches staged with ``nd.array``: 0.88 compiled, 0.89 eager; ``stage`` says why
* ``MXNET_ENGINE_TYPE=NaiveEngine``: 1.03 compiled, 0.93 eager
* eager instead of compiled: 0.91 to 0.95; convolutions, two thirds of a step, are the same in both

Against the adapter as it was with ``nd.array``, where nothing of this stood out of the noise:

* loss and hits outside the hybridized graph: 0.95 to 0.97; without ``static_shape``: 0.99; plain
  ``hybridize()``: 1.00
* ``kvstore="device"``: 1.00; ``engine.bulk(60)``: 1.02; 1 or 45 parameters updated at a time
  instead of 4: 0.97, 0.98
* a float64 sum on the device kept up at each step: 0.96; not kept at all: 1.01. Now all steps of a
  call are added up at its end, on the device and within the clock, which is as exact. Its rate has
  not been measured yet: in turns against a sum at each step, and against the scalars added up on
  the host outside the clock, as it was, with windows of 20 and of 2 steps
* oneDNN off (``MXNET_MKLDNN_ENABLED=0``): 0.55, by the profiler

In float64 it computes what the oracle does (tests/contract/test_gluon.py). In float32, networks
with BatchNorm are further off than they had to be: on a CPU, BatchNorm's sums and a convolution's
bias gradient are added up value after value (bit for bit so with up to 8 channels). The oracle with
such sums is as far off: after one step of lenet-bn, 3.9e-3 in ``conv1.bias``, whose gradient is 0.
https://github.com/apache/mxnet/blob/1.9.1/src/operator/nn/batch_norm.cc
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd
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
from impls.gluon.blocks import layers_of, parameters_of, pass_everything_on
from impls.gluon.loader import endless_batches
from impls.gluon.models import MODELS


def create(setup: Setup) -> LoadingAdapter:
    """The adapter of ``setup``'s model on its device.

    MXNet reads its number of threads from ``OMP_NUM_THREADS`` when it is loaded, before this: the
    harness sets that, and nothing can be changed here.

    Raises ``ValueError``: unknown model or mode, or a device that is not there.
    """
    if setup.model.name not in MODELS:
        raise ValueError(
            f"No gluon model {setup.model.name!r}: expected one of {', '.join(MODELS)}"
        )
    if setup.mode not in ("eager", "compiled"):
        raise ValueError(f"No gluon mode {setup.mode!r}: expected eager or compiled")
    return GluonAdapter(setup, _context(setup.device))


class _Classifier(gluon.HybridBlock):  # type: ignore[misc]
    """A network with its loss and its hits, so that hybridizing makes one graph of them."""

    def __init__(self, net: Any) -> None:
        super().__init__(prefix="")
        self.net = net
        # It gets log-probabilities: MXNet's own log_softmax, through oneDNN, is off by 6e-7 on a
        # CPU, which after one step of LeNet makes up to 5.7e-6 in a bias; this form 3.6e-7.
        self.loss = gluon.loss.SoftmaxCrossEntropyLoss(from_logits=True)

    def hybrid_forward(self, F: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        """Summed loss and number of hits, each (1,) of the images' type, exact up to 2²⁴ hits."""
        logits = self.net(images)
        shifted = F.broadcast_sub(logits, F.max(logits, axis=1, keepdims=True))
        norm = F.log(F.sum(F.exp(shifted), axis=1, keepdims=True))
        loss = F.sum(self.loss(F.broadcast_sub(shifted, norm), labels))
        correct = F.sum(F.argmax(logits, axis=1) == labels)
        return loss, correct


class GluonAdapter:
    """A Gluon model, its trainer and its sums on one device."""

    def __init__(self, setup: Setup, context: Any) -> None:
        self._setup = setup
        self._context = context
        mx.random.seed(setup.seed)
        self._net = MODELS[setup.model.name]()
        self._net.initialize(ctx=context)
        if not setup.dropout:
            pass_everything_on(self._net)
        self._classifier = _Classifier(self._net)
        self._classifier.cast(setup.precision)
        if setup.mode == "compiled":
            self._classifier.hybridize(static_alloc=True, static_shape=True)
        self._trainer = _trainer(setup, self._net.collect_params())
        # Loss and hits. float64, as a float32 sum over an epoch would be off in the sixth digit.
        self._sums = nd.zeros(2, ctx=context, dtype="float64")
        self._examples = 0
        self._outputs: list[Any] = []
        """Loss and hits of the latest step, as they came out of it."""
        self._loaded: Iterator[Any] = iter(())

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0."""
        for name, parameter in parameters_of(self._net).items():
            parameter.set_data(nd.from_numpy(np.array(weights[name], self._setup.precision)))
        # The optimizer isn't part of the graph: a new one leaves what is compiled as it is.
        self._trainer = _trainer(self._setup, self._net.collect_params())
        self.take_metrics()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Canonical name → array of the setup's precision on the host, a copy."""
        # An evaluation leaves weights in oneDNN's own layout. asnumpy() alone would convert them
        # with OpenMP threads of the main thread's own (see stage()); here the engine does it.
        return {name: (p.data() + 0).asnumpy() for name, p in parameters_of(self._net).items()}

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """A list of (images, labels) arrays on the device, one pair per step, of one type.

        ``nd.array`` would copy a batch with a team of OpenMP threads of the main thread's own.
        From then on libgomp counts more threads than cores, and the team of the engine's worker
        falls asleep at the end of each parallel region instead of waiting awake for the next:
        6,000 times in 20 steps. https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
        """
        return [
            (
                nd.from_numpy(image.astype(self._setup.precision)).as_in_context(self._context),
                nd.from_numpy(label.astype(self._setup.precision)).as_in_context(self._context),
            )
            for image, label in zip(images, labels, strict=True)
        ]

    def train(self, batches: Any) -> None:
        """One trainer step per pair has been issued, and its loss and hits are added up."""
        self._train_on(batches)

    def synchronize(self) -> None:
        """All work issued so far is finished, copies too: MXNet is asynchronous even on a CPU."""
        mx.nd.waitall()

    def take_metrics(self) -> Metrics:
        """The sums since the last call; they start again at 0."""
        loss_sum, correct = self._sums.asnumpy()
        metrics = Metrics(float(loss_sum), int(correct), self._examples)
        self._sums = nd.zeros_like(self._sums)
        self._examples = 0
        return metrics

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy over the staged pairs in inference mode."""
        outputs = [each for pair in batches for each in self._classifier(*pair)]
        loss_sum, correct = _added_up(outputs).asnumpy()
        return Metrics(float(loss_sum), int(correct), sum(len(labels) for _, labels in batches))

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, 10) logits of (B, C, H, W) images in inference mode, on the host."""
        batch = nd.from_numpy(images.astype(self._setup.precision)).as_in_context(self._context)
        logits: NDArray[Any] = self._net(batch).asnumpy()
        return logits

    def device(self) -> str:
        """``cpu`` or ``gpu:N``, asked of every parameter."""
        return _places(parameter.data() for parameter in self._net.collect_params().values())

    def result_device(self) -> str:
        """Likewise, asked of loss and hits of the latest step; empty before.

        A forward pass would leave the weights in oneDNN's own layout.
        """
        return _places(self._outputs)

    def peak_device_memory_bytes(self) -> int | None:
        """None: MXNet tells what is free of a GPU now, and keeps no peak.

        https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/mxnet/context/index.html
        """
        return None

    def layers(self) -> list[LayerLine]:
        """The live net's blocks in the order in which Gluon calls them."""
        return layers_of(self._net, self._setup.model.input_shape)

    def open_loader(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        workers: int,
        kind: LoaderKind,
    ) -> None:
        """Gluon's ``DataLoader`` is set up over (N, H, W) ``images`` and (N,) ``labels``."""
        self._loaded = endless_batches(images, labels, self._setup, workers, kind)

    def train_from_loader(self, steps: int) -> None:
        """One trainer step for each of the loader's next batches has been issued."""
        self._train_on(
            (
                images.as_in_context(self._context).astype(self._setup.precision, copy=False),
                labels.as_in_context(self._context).astype(self._setup.precision, copy=False),
            )
            for images, labels in islice(self._loaded, steps)
        )

    def loaded_batches(self, count: int) -> Iterator[LoadedBatch]:
        """The loader's next ``count`` batches on the host, in place of being trained on."""
        for images, labels in islice(self._loaded, count):
            yield LoadedBatch(images.asnumpy(), labels.asnumpy().astype(np.int64))

    def _train_on(self, batches: Iterable[tuple[Any, Any]]) -> None:
        """One trainer step per pair has been issued, then the sum of their losses and hits."""
        outputs = []
        for images, labels in batches:
            with autograd.record():
                loss, correct = self._classifier(images, labels)
            loss.backward()
            # The loss is a sum: step() divides the gradient by the batch's real size.
            self._trainer.step(len(labels))
            outputs += [loss, correct]
            self._examples += len(labels)
        if outputs:
            self._sums += _added_up(outputs)
            self._outputs = outputs[-2:]


def _added_up(outputs: list[Any]) -> Any:
    """(2,) float64 on the device: the sums of losses and hits, (1,) float32 arrays in turns.

    Five operators for all steps of a call together, where a sum kept up at each step would take two
    for each.
    """
    return nd.concat(*outputs, dim=0).astype("float64").reshape((-1, 2)).sum(axis=0)


def _places(arrays: Iterable[Any]) -> str:
    """``cpu``, ``gpu:0``: where they are, several places joined by commas."""
    contexts = {array.context for array in arrays}
    return ", ".join(
        sorted(
            "cpu" if context.device_type == "cpu" else f"{context.device_type}:{context.device_id}"
            for context in contexts
        )
    )


def _trainer(setup: Setup, parameters: Any) -> Any:
    """The recipe's optimizer with every constant given."""
    recipe = setup.optimizer
    constants: dict[str, Any] = {
        "learning_rate": recipe.learning_rate,
        "wd": 0.0,
        "clip_gradient": None,
        "multi_precision": False,
    }
    if isinstance(recipe, Adam):
        name = "adam"
        constants |= {"beta1": recipe.beta1, "beta2": recipe.beta2, "epsilon": recipe.epsilon}
    else:
        name = "sgd"
        constants |= {"momentum": recipe.momentum}
    # One device: a key-value store would only copy gradients about.
    return gluon.Trainer(parameters, name, constants, kvstore=None)


def _context(name: str) -> Any:
    """``cpu``, ``gpu`` or ``gpu:N`` as an MXNet context that exists."""
    kind, _, index = name.partition(":")
    if name == "cpu":
        return mx.cpu()
    if kind != "gpu" or not (index or "0").isdigit():
        raise ValueError(f"No gluon device {name!r}: expected cpu, gpu or gpu:N")
    if int(index or 0) >= mx.context.num_gpus():
        raise ValueError(
            f"No device {name!r}: MXNet {mx.__version__} sees {mx.context.num_gpus()} CUDA GPUs; "
            "use --device cpu, or install mxnet-cu117"
        )
    return mx.gpu(int(index or 0))
