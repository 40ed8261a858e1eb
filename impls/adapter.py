"""The one seam between harness and framework.

An implementation is a folder with ``impl.toml``, ``requirements-cpu.txt``, ``models.py`` and
``adapter.py``; the last offers ``create(setup: Setup) -> Adapter``. ``docs/add-a-framework.md``
leads from an empty folder to a verified LeNet.

Canonical arrays, the same for every framework (an adapter converts them to its own layout, outside
every clock):

* images: (S, B, C, H, W) float32 in [0, 1]: S steps of B images each, C, H and W the model's
* labels: (S, B) int64 in [0, 10)
* convolution kernels: (out, in, height, width); their biases: (out,)
* dense kernels: (out, in), inputs flattened in C, H, W order, W running fastest; biases: (out,)
* BatchNorm: weight (γ), bias (β), running_mean and running_var, each (C,)
* names: ``<layer name>.weight`` and so on, as ``Model.weight_shapes`` gives them; dots in a layer's
  name show the nesting
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from impls.definition import Model

if TYPE_CHECKING:  # only in annotations: the command line waits for no NumPy that it does not need
    import numpy as np
    from numpy.typing import NDArray

Weights: TypeAlias = "Mapping[str, NDArray[Any]]"
"""Canonical name → array in the canonical layout: parameters and running statistics."""


class Sgd(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="sgd",
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

Precision = Literal["float32", "float64"]
"""What weights, activations, gradients and the optimizer's state are kept and computed in."""

VarianceFormula = Literal["biased", "unbiased"]
"""What moves BatchNorm's running variance: Σ(x−mean)² ÷ n (``biased``) or ÷ (n−1), n = N·H·W. What
the batch itself is normalized with is biased everywhere."""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an adapter needs to build one model."""

    model: Model
    optimizer: Optimizer
    batch_size: int
    mode: str
    """One of the modes that the implementation's ``impl.toml`` declares."""
    device: str
    """``cpu``, ``gpu`` or ``gpu:N``; the harness says ``gpu:0`` to a worker, which sees one GPU."""
    threads: int
    """CPU threads that the framework may use for one operation."""
    seed: int = 0
    """Of whatever the framework draws by itself: dropout masks, a loader's shuffling."""
    precision: Precision = "float32"
    """float64: the very same model, loss, optimizer and metrics in it, for the proof of networks
    that amplify rounding; asked for in the modes that ``impl.toml`` lists as ``float64``. Images
    and initial weights are handed over in float32 all the same, ``weights`` and ``logits`` give
    float64 back. The reference goes by its mode, whose first is float64."""
    dropout: bool = True
    """False: dropout layers pass everything on. Masks can't be matched, so parity is shown so."""
    adam_formula: AdamFormula = "epsilon"
    """Read by the reference alone, which computes whichever formula it is asked for."""
    momentum_formula: MomentumFormula = "rate-outside"
    """Likewise."""
    variance_formula: VarianceFormula = "biased"
    """Likewise."""


class LayerLine(NamedTuple):
    """One layer as the framework describes it."""

    name: str
    """Canonical layer name; empty where the layer has no parameters."""
    kind: str
    """The framework's own name of it: ``Conv2d``."""
    output_shape: tuple[int, ...]
    """Of one image, in the framework's own layout, batch dimension left out."""
    parameters: int
    """How many values training changes by gradients."""


class Metrics(NamedTuple):
    """Sums over examples, not means: partial batches weigh what they hold."""

    loss_sum: float
    """Sum over examples of the softmax cross-entropy in nats."""
    correct: int
    """Examples whose largest logit is the label's."""
    examples: int


LoaderKind = Literal["loader", "pipeline"]
"""How a framework's own data loader is written. ``loader``: as its tutorials do, with transforms
of one example at a time. ``pipeline``: the fastest that an expert gets out of the same loader."""


class LoadedBatch(NamedTuple):
    """What a loader brought for one step, on the host."""

    images: NDArray[np.float32]
    """(B, C, H, W), in [0, 1]."""
    labels: NDArray[np.int64]
    """(B,)."""


class Adapter(Protocol):
    """One model in one framework, with its optimizer, in one process.

    Work may be asynchronous: nothing but ``synchronize``, ``take_metrics``, ``evaluate``,
    ``logits`` and ``weights`` has to wait for it.
    """

    def load_weights(self, weights: Weights) -> None:
        """The model holds exactly ``weights``, the optimizer is as new, metrics are 0.

        The arrays are float32, in ``Setup.precision`` float64 perhaps float64.
        """

    def weights(self) -> dict[str, NDArray[Any]]:
        """Parameters and running statistics on the host, in canonical names, order and layout."""

    def stage(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
        """The batches on the device, ready to train on; any object of the adapter's own.

        ``images``: (S, B, C, H, W); ``labels``: (S, B). B may be smaller than the recipe's batch
        size: the last batch of an epoch. The harness calls it outside every training clock.
        """

    def train(self, batches: Any) -> None:
        """One optimizer step per staged batch has been issued, in order.

        A worker is warmed up with calls of 1 step and of 5, and with the partial batch and the
        sizes of evaluations where they will come. Its windows then have other numbers of steps,
        several in one trial: whatever is compiled must serve all of them, or it is compiled while
        the clock runs. Sizes of batches are those of the warm-up.

        The loss whose gradient is taken is the mean over the batch's B examples. The summed loss
        and the number of correct predictions (of the logits that the step computed, before its
        update) are added up on the device, step by step or at the end of the call: nothing is read
        back to the host here, and nothing is left to add up later. So every framework pays for its
        metrics within the clock. Over a window the summed loss is within 1e-7 of the sum of its
        steps' losses, relatively, and the hits are exact.
        """

    def synchronize(self) -> None:
        """All work issued so far is finished. The harness calls it before every clock reading."""

    def take_metrics(self) -> Metrics:
        """What ``train`` has added up since the last call; the sums start again at 0.

        It reads two numbers and computes nothing: it is called outside every clock.
        """

    def evaluate(self, batches: Any) -> Metrics:
        """Loss and accuracy of the staged batches in inference mode; weights stay as they are."""

    def logits(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """(B, C, H, W) in, (B, 10) logits of the model in inference mode out, on the host."""

    def device(self) -> str:
        """Where all parameters really live, asked of the framework: ``cpu`` or ``gpu:N``.

        Several places, if it should be so, are joined by commas.
        """

    def result_device(self) -> str:
        """Where what is computed really comes out, asked and said likewise.

        Of the latest training step, where its results are kept; else of a forward pass taken now.
        Weights, optimizer and metrics stay as they are. The harness asks after the first training
        steps, outside every clock.
        """

    def peak_device_memory_bytes(self) -> int | None:
        """The most that tensors have taken at once of the GPU, counted by the framework itself.

        None: on the CPU, or the framework doesn't count it.
        """

    def layers(self) -> list[LayerLine]:
        """The framework's own layers in the order of the forward pass, as it calls and sees them.

        Read from the live model, not from ``Setup.model``; layers that hold others are left out.
        """


class LoadingAdapter(Adapter, Protocol):
    """An adapter that can also feed itself with its framework's own data loader (optional).

    An implementation whose ``impl.toml`` lists ``loader`` or ``pipeline`` in ``inputs`` offers it.
    """

    def open_loader(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        workers: int,
        kind: LoaderKind,
    ) -> None:
        """The framework's data loader is set up over the training set, as ``kind`` says.

        ``images``: (N, H, W); ``labels``: (N,). Each epoch goes through all of them once, in an
        order that the framework shuffles by itself from ``Setup.seed``, in batches of
        ``Setup.batch_size``, the last one partial; what is opened again with the same seed and
        ``kind`` brings the same batches again, whatever ``workers`` is. Pixels become float32 in
        [0, 1]; images of another size than the model's are resized by the framework. ``workers``:
        the loader's own processes or threads beside the main one; 0 is none. A ``pipeline`` may
        leave some out where fewer are faster.
        """

    def train_from_loader(self, steps: int) -> None:
        """One optimizer step for each of the next ``steps`` batches has been issued, as ``train``.

        Where an epoch ends, the next one begins; nothing that the loader has at hand is lost
        between calls.
        """

    def loaded_batches(self, count: int) -> Iterator[LoadedBatch]:
        """The next ``count`` batches, taken from the loader instead of being trained on.

        They are what ``train_from_loader`` would have taken, one at a time as the iterator is
        asked for them; metrics stay as they are. The harness calls it outside every clock.
        """
