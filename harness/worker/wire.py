"""Messages between conductor and worker: JSON, one a line, on two pipes of their own.

Standard output and error are not part of it: whatever a framework prints goes to a log file.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.spec.events import Sample
from harness.spec.proof_events import Hashes
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
    shared: tuple[str, ...] = ()
    """Folders of others whose modules it imports."""
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

    sample: int = 0
    """Number of the batch whose logits are handed over to be counted again."""


class Prove(msgspec.Struct, frozen=True, kw_only=True, tag="prove"):
    """Start anew, take ``steps`` steps one by one and ``window_steps`` more in one call, and hand
    over what parity compares. Afterwards the trial stands where it stood at its beginning."""

    batch_size: int
    """That of the job; workers of earlier versions ask for it."""
    steps: int
    output: str
    """Where to write the arrays: an ``.npz`` with ``logits``, ``logits_after_step``,
    ``weights/<name>`` after one step and ``end/<name>`` after all."""
    window_steps: int = 0
    singly: bool = False
    """Whether ``window_steps`` are taken one by one too, each with its loss: of the oracle."""
    partial: int = 0
    """Examples of a partial batch that is trained, one step, from the initial weights again; then
    ``partial/<name>`` are the weights after it. 0: none is."""
    further_steps: int = 0
    """Steps one by one after all of those; then ``last/<name>`` are the weights after them."""
    weights: str = ""
    """Initial weights other than the job's; likewise an ``.npz``."""
    order: str = ""
    """A batch order other than the job's; likewise an ``.npy``."""


class Draw(msgspec.Struct, frozen=True, kw_only=True, tag="draw"):
    """Take one batch's loss under ``draws`` dropout masks; the optimizer's rate is to be 0."""

    copies: int
    """The batch: as many copies of the first image of the order, each with a mask of its own."""
    draws: int
    at_once: bool = False
    """Without training: by the method ``training_losses`` that the oracle has."""


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load"):
    """Look at an epoch of the loader's, and train on its first ``steps`` batches in two ways."""

    steps: int
    output: str
    """Where to write the weights after each: an ``.npz`` with ``loader/<name>`` and
    ``resident/<name>``."""


class Describe(msgspec.Struct, frozen=True, kw_only=True, tag="describe"):
    """Say which layers the framework sees."""


class Finish(msgspec.Struct, frozen=True, kw_only=True, tag="finish"):
    """Report and end."""

    weights: str = ""
    """Where to write the weights as they are then, an ``.npz`` by name; empty: nowhere."""


Command = Job | Train | Evaluate | Prove | Draw | Load | Describe | Finish


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
    effects: dict[str, str] = {}
    """As ``events.TrialFinished``; empty from workers of earlier versions."""


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
    idle_seconds: float | None = None
    gather_cpu_seconds: float = 0.0
    stage_cpu_seconds: float = 0.0
    lead_in_cpu_seconds: float = 0.0
    partial_cpu_seconds: float = 0.0
    read_before_seconds: float = 0.0
    read_before_cpu_seconds: float = 0.0
    read_seconds: float = 0.0
    read_cpu_seconds: float = 0.0
    read_again_seconds: float = 0.0
    read_again_cpu_seconds: float = 0.0
    total_seconds: float = 0.0
    total_cpu_seconds: float = 0.0
    weights_before: str = ""
    weights_after: str = ""


class Evaluated(msgspec.Struct, frozen=True, kw_only=True, tag="evaluated"):
    """The test set was evaluated."""

    step: int
    loss_sum: float | None
    correct: int
    examples: int
    seconds: float
    stage_seconds: float
    sample: Sample | None = None


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter's ``take_metrics`` says."""

    loss_sum: float | None
    correct: int
    examples: int


class Proved(msgspec.Struct, frozen=True, kw_only=True, tag="proved"):
    """The steps of a proof were taken."""

    losses: tuple[float | None, ...]
    """Mean loss of each step that was taken by itself."""
    hashes: Hashes
    correct: tuple[int, ...] = ()
    """Hits of each."""
    window: Sums | None = None
    """Of the steps that were taken in one call."""


class Drawn(msgspec.Struct, frozen=True, kw_only=True, tag="drawn"):
    """Losses under dropout masks, in nats; nothing where one is not finite."""

    losses: tuple[float | None, ...]
    """Mean over the batch, of each draw."""
    inference_losses: tuple[float | None, ...]
    """The same batch's in inference mode, several times, before the draws and after them."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag="loaded"):
    """What a loader brings; the fields are those of ``events.LoaderCheck``."""

    examples: int
    digest: str
    labels: tuple[int, ...]
    in_file_order: bool
    same_order_again: bool
    by_loader: Sums
    resident: Sums


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


Message = (
    Hello | Ready | Trained | Evaluated | Proved | Drawn | Loaded | Described | Finished | Failed
)


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
