"""Messages between conductor and worker: JSON, one a line, on two pipes of their own.

Standard output and error are not part of it: whatever a framework prints goes to a log file.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.spec.events import Hashes
from impls.adapter import LayerLine, LoaderKind, Setup

WARM_UP_STEPS = 5


class Loader(msgspec.Struct, frozen=True, kw_only=True):
    """The framework feeds itself with its own data loader."""

    kind: LoaderKind = "loader"
    data_folder: str
    """As ``Job.data_folder``, with the images as they were published: a loader resizes them."""
    workers: int


class Job(msgspec.Struct, frozen=True, kw_only=True, tag="job"):
    """What to build. The first command."""

    implementation: str
    """Name of the implementation."""
    folder: str
    """Folder of the implementation."""
    setup: Setup
    data_folder: str
    """Holds ``train-images.npy`` (N, H, W) uint8, ``train-labels.npy`` (N,) uint8, ``test-…``."""
    weights: str
    """An ``.npz`` with the initial weights by canonical name."""
    order: str
    """An ``.npy`` (epochs, N) int32: indices of training examples, epoch by epoch."""
    whole_epochs: bool = False
    """Whether partial batches and evaluations will come, so that warm-up compiles them too."""
    warm_up_steps: int | None = WARM_UP_STEPS
    """Steps after the first and before the first window; none: not even the first is taken."""
    loader: Loader | None = None
    """Where windows take their batches from; none: batches that the harness has staged."""


class Train(msgspec.Struct, frozen=True, kw_only=True, tag="train"):
    """Run one window: ``lead_in`` steps, then ``steps`` timed ones, all whole batches."""

    lead_in: int
    steps: int
    partial: bool = False
    """Train the partial last batch of the epoch afterwards, if there is one."""


class Evaluate(msgspec.Struct, frozen=True, kw_only=True, tag="evaluate"):
    """Evaluate the test set."""


class Prove(msgspec.Struct, frozen=True, kw_only=True, tag="prove"):
    """Take ``steps`` steps of ``batch_size`` examples and hand over what parity compares."""

    batch_size: int
    steps: int
    output: str
    """Where to write the arrays: an ``.npz`` with ``logits``, ``logits_after_step`` and
    ``weights/<name>``."""


class Describe(msgspec.Struct, frozen=True, kw_only=True, tag="describe"):
    """Say which layers the framework sees."""


class Finish(msgspec.Struct, frozen=True, kw_only=True, tag="finish"):
    """Report and end."""


Command = Job | Train | Evaluate | Prove | Describe | Finish


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """The worker's interpreter is up."""

    pid: int
    python: str


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The model is built and warm, and holds the initial weights."""

    phases: dict[str, float]
    """Seconds of import, build, stage, first_step, warm_up."""
    data_hash: str
    weights_hash: str
    device: str
    """Where the weights are, as the framework says."""
    threads: dict[str, int]
    train_examples: int
    test_examples: int
    result_device: str = ""
    """Where the result of a forward pass was; empty from an adapter that can't be asked."""


class Trained(msgspec.Struct, frozen=True, kw_only=True, tag="trained"):
    """A window was run; the fields are those of ``events.Window``."""

    first_step: int
    steps: int
    examples: int
    wall_seconds: float
    cpu_seconds: float
    lead_in_steps: int
    lead_in_seconds: float
    partial_steps: int
    partial_seconds: float
    stage_seconds: float
    loss_sum: float | None
    correct: int
    trained_examples: int
    minor_faults: int
    major_faults: int
    involuntary_switches: int
    steal_seconds: float
    load: float
    frequency_mhz: float | None


class Evaluated(msgspec.Struct, frozen=True, kw_only=True, tag="evaluated"):
    """The test set was evaluated."""

    step: int
    loss_sum: float | None
    correct: int
    examples: int
    seconds: float
    stage_seconds: float


class Proved(msgspec.Struct, frozen=True, kw_only=True, tag="proved"):
    """The steps of a proof were taken."""

    losses: tuple[float | None, ...]
    hashes: Hashes


class Described(msgspec.Struct, frozen=True, kw_only=True, tag="described"):
    """The framework's own layers, in the order of the forward pass."""

    layers: tuple[LayerLine, ...]


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """The worker is about to end."""

    steps: int
    order_hash: str
    """Empty where a loader chose the order."""
    peak_memory_bytes: int
    peak_device_memory_bytes: int | None = None


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """An exception ended the worker."""

    phase: str
    reason: str
    detail: str


Message = Hello | Ready | Trained | Evaluated | Proved | Described | Finished | Failed


def encode(message: Command | Message) -> bytes:
    """One line, with its newline."""
    return msgspec.json.encode(message) + b"\n"


def decode_command(line: bytes) -> Command:
    """The command of one line.

    Raises:
        msgspec.ValidationError: it is not a command.
    """
    return msgspec.json.decode(line, type=Command)  # type: ignore[no-any-return]


def decode_message(line: bytes) -> Message:
    """The message of one line.

    Raises:
        msgspec.DecodeError: it is not a message.
    """
    result: Any = msgspec.json.decode(line, type=Message)
    return result  # type: ignore[no-any-return]
