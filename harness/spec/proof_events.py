"""Events that hold a cell against what it has to compute: proofs, checks and audits."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.spec.bounds import Count, Moment, Rounding
from harness.spec.event import Event


class Deviation(msgspec.Struct, frozen=True, kw_only=True):
    """How far one quantity of a cell is from the oracle's."""

    check: str
    """``logits`` of the first batch in inference mode, ``weights`` (running statistics with them),
    ``loss`` of a step, ``partial`` (weights after one step on a partial batch, from the initial
    ones); or, of the steps that were taken in one call, ``window_loss``,
    ``window_correct`` and ``window_examples``."""
    step: Count
    """0: the initial model. Weights of step n are those after it, logits those before it; a loss
    of step n is that of its batch. Steps in one call go by the number of the last."""
    tensor: str = ""
    """Canonical name, for ``weights``."""
    value: Rounding | None
    """|a−b| ÷ |b|, or ‖a−b‖₂ ÷ max(‖b‖₂, 1e-3·√size), or, of hits and examples, |a−b| ÷ examples;
    nothing where it is not finite."""
    tolerance: Rounding
    """What rounding alone may do to it, for this recipe, seed and batch."""


class Hashes(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256, in hexadecimal, of what a worker really used."""

    data: str
    """Bytes of training images and labels, then test images and labels (uint8, C order)."""
    weights: str
    """Initial weights read back from the model, float32 little-endian, canonical order."""
    order: str
    """Indices of all examples trained on, int64 little-endian, in the order of training."""


class ProofEvent(Event, frozen=True, kw_only=True):
    """What all have in common that is proved of a cell before it is timed."""

    proved_at: Moment | None = None
    """When that was, where an earlier run has proved it with the same code, packages, data and
    machine; none: now."""


class Parity(ProofEvent, tag="parity", frozen=True, kw_only=True):
    """A cell was held against the oracle."""

    cell: str
    adam_formula: str
    momentum_formula: str
    variance_formula: str = "biased"
    batch_size: Count
    deviations: tuple[Deviation, ...]
    losses: tuple[float | None, ...]
    """Mean loss of the batch of steps 1 to n, in nats."""
    oracle_losses: tuple[float | None, ...]
    hashes: Hashes
    expected_hashes: Hashes
    losses_alone: bool = False
    """Whether no more than the losses could be seen: of a script that stands by itself."""
    steps: int = 10
    """Steps taken one by one."""
    window_steps: int = 0
    """Steps taken in one call after them."""
    partial: int = 0
    """Examples of the partial batch that was trained by itself; 0: none was."""
    trial: int | None = None
    """The trial in whose worker this was, before it was timed; none: a worker of its own."""
    precision: str = "float32"
    """What the cell computed in. ``float64``: the same model code as in the cell's float32, held
    where float32 can't prove much."""


CheckName = Literal[
    "examples",
    "loss",
    "correct",
    "agreement",
    "weights",
    "staging",
    "staging_time",
    "lead_in",
    "left_over",
    "clock",
    "cpu_clock",
    "threads",
    "waiting",
    "rate",
    "evaluation",
]


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a timed trial had to keep to; of all its windows, the one that comes closest
    to breaking it or breaks it most."""

    name: CheckName
    window: Count | None = None
    """Its round; none: of the trial as a whole."""
    tensor: str = ""
    """Canonical name, for ``weights``."""
    seen: float | None
    """Nothing where it is not a finite number."""
    lowest: float
    highest: float
    """It holds from ``lowest`` to ``highest``, both included."""


class Audit(Event, tag="audit", frozen=True, kw_only=True):
    """A timed trial was held against what it had to compute, and its time was accounted for."""

    trial: int
    cell: str
    checks: tuple[AuditCheck, ...]
    held_steps: int
    """Steps from the first on whose losses were held against the oracle's."""
    unmade: tuple[str, ...] = ()
    """One clause for each check that could not be made, and why."""


class LoaderCheck(ProofEvent, tag="loader_check", frozen=True, kw_only=True):
    """An epoch of a framework's own loader was looked at, and its first batches trained on twice:
    as the loader brings them, and staged on the device as the proof has them."""

    cell: str
    examples: Count
    """Of an epoch."""
    expected_examples: Count
    digest: str
    """Order-free digest of its pixels and labels; empty where the framework has resized them."""
    expected_digest: str
    labels: tuple[Count, ...]
    """Examples of an epoch by class."""
    expected_labels: tuple[Count, ...]
    in_file_order: bool
    """Whether the first batch is that of the file, unshuffled."""
    same_order_again: bool
    """Whether the second epoch begins as the first."""
    deviations: tuple[Deviation, ...]
    """Loss, hits and weights after the first batches, against those of the staged ones."""


class DropoutCheck(ProofEvent, tag="dropout_check", frozen=True, kw_only=True):
    """The losses of one batch under many dropout masks were taken, of a cell and of the oracle.

    Both from the common initial weights, with an optimizer whose rate is 0.
    """

    cell: str
    copies: int
    """The batch: copies of one image, each with a mask of its own."""
    losses: tuple[float | None, ...]
    """Mean over the batch in nats, of each draw."""
    oracle_losses: tuple[float | None, ...]
    """Likewise; there are more of them."""
    inference_losses: tuple[float | None, ...]
    """Of the same batch in inference mode, several times."""
    oracle_inference_loss: float | None
