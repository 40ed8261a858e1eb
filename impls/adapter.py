"""The one seam between harness and framework.

An implementation is a folder with ``impl.toml``, ``requirements-cpu.txt``, ``models.py`` and
``adapter.py``; the last offers ``create(setup: Setup) -> Adapter``. ``docs/add-a-framework.md``
leads from an empty folder to a verified LeNet.

Canonical arrays, the same for every framework (an adapter converts them to its own layout, outside
every clock):

* images: (S, B, C, H, W) float32 in [0, 1]: S steps of B images each
* labels: (S, B) int64 in [0, 10)
* convolution kernels: (out, in, height, width); their biases: (out,)
* dense kernels: (out, in), inputs flattened in C, H, W order, W running fastest; biases: (out,)
* parameter names: ``<layer name>.weight`` and ``<layer name>.bias``, as ``Model.parameter_shapes``
  gives them
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from impls.definition import Model

Weights = Mapping[str, NDArray[Any]]
"""Canonical name → array in the canonical layout."""


class Sgd(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="sgd",
    forbid_unknown_fields=True,
):
    """w ← w − rate · g; with momentum, g is accumulated in a buffer first."""

    learning_rate: float
    momentum: float = 0.0


class Adam(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="adam",
    forbid_unknown_fields=True,
):
    """Adam (Kingma and Ba, 2015, algorithm 1). Every constant is given: defaults differ."""

    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float


Optimizer = Sgd | Adam

AdamFormula = Literal["epsilon", "epsilon-hat"]
"""Where ε stands in Adam's update. ``epsilon``: lr · m̂ ÷ (√v̂ + ε), algorithm 1 of the paper.
``epsilon-hat``: lr · √(1−β₂ᵗ) ÷ (1−β₁ᵗ) · m ÷ (√v + ε), the reordering at the end of its section 2,
whose ε weighs √(1−β₂ᵗ)⁻¹ times more: 31.6 times at step 1."""

MomentumFormula = Literal["rate-outside", "rate-inside"]
"""``rate-outside``: b ← μ·b + g, w ← w − lr·b. ``rate-inside``: b ← μ·b − lr·g, w ← w + b.
The same numbers while the rate is constant, up to rounding."""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an adapter needs to build one model."""

    model: Model
    optimizer: Optimizer
    batch_size: int
    mode: str
    """One of the modes that the implementation's ``impl.toml`` declares."""
    device: str
    """``cpu``, ``gpu`` or ``gpu:N``."""
    threads: int
    """CPU threads that the framework may use for one operation."""
    adam_formula: AdamFormula = "epsilon"
    """Read by the reference alone, which computes whichever formula it is asked for."""
    momentum_formula: MomentumFormula = "rate-outside"
    """Likewise."""


class Metrics(NamedTuple):
    """Sums over examples, not means: partial batches weigh what they hold."""

    loss_sum: float
    """Sum over examples of the softmax cross-entropy in nats."""
    correct: int
    """Examples whose largest logit is the label's."""
    examples: int


class Adapter(Protocol):
    """One model in one framework, with its optimizer, in one process.

    Work may be asynchronous: nothing but ``synchronize``, ``take_metrics``, ``evaluate``,
    ``logits`` and ``weights`` has to wait for it.
    """

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights`` (float32), the optimizer is as new, metrics are 0."""

    def weights(self) -> dict[str, NDArray[Any]]:
        """The model's parameters on the host, in the canonical names, order and layout."""

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """The batches on the device, ready to train on; any object of the adapter's own.

        ``images``: (S, B, C, H, W); ``labels``: (S, B). B may be smaller than the recipe's batch
        size: the last batch of an epoch. The harness calls it outside every training clock.
        """

    def train(self, batches: Any) -> None:
        """One optimizer step per staged batch has been issued, in order.

        The loss whose gradient is taken is the mean over the batch's B examples. The summed loss
        and the number of correct predictions (of the logits that the step computed, before its
        update) are added up on the device: nothing is read back to the host here.
        """

    def synchronize(self) -> None:
        """All work issued so far is finished. The harness calls it before every clock reading."""

    def take_metrics(self) -> Metrics:
        """What ``train`` has added up since the last call; the sums start again at 0."""

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy of the staged batches in inference mode; weights stay as they are."""

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, C, H, W) in, (B, 10) logits of the model in inference mode out, on the host."""

    def device(self) -> str:
        """Where the parameters really live, asked of the framework: ``cpu`` or ``gpu:N``."""
