"""What was seen: the events of ``trials.jsonl``, one a line, and the manifest ``run.json``.

Raw values only: rates, ratios and verdicts are computed anew by every reader. Durations are wall
seconds of the worker's monotonic clock, read after ``synchronize()``, unless a name says otherwise.

Format history:

* 1 (0.1.0): the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.spec.bounds import (
    Count,
    Loss,
    Moment,
    Positive,
    Reading,
    Rounding,
    Seconds,
    Seed,
)
from harness.spec.cells import Cell
from harness.spec.gates import GateTerms
from harness.spec.machine import Environment, Machine

FORMAT_VERSION = 2


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Something that happened, and when."""

    at: Moment
    """Seconds since 1970, by the harness's clock."""


class Header(Event, tag="header", frozen=True, kw_only=True):
    """The first line of the file."""

    format_version: int = FORMAT_VERSION


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


class Parity(Event, tag="parity", frozen=True, kw_only=True):
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


class LoaderCheck(Event, tag="loader_check", frozen=True, kw_only=True):
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


class DropoutCheck(Event, tag="dropout_check", frozen=True, kw_only=True):
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


class TrialStarted(Event, tag="trial_started", frozen=True, kw_only=True):
    """A worker was spawned."""

    trial: Count
    """Unique in the run."""
    block: Count
    group: str
    cell: str
    twin: bool = False
    """Whether this is the reference contender's second copy (A/A)."""
    long: bool = False
    """Whether the whole recipe is trained, for the accuracy curve."""
    seed: Seed


class GpuModel(msgspec.Struct, frozen=True, kw_only=True):
    """The GPU that a worker was shown, as the driver (NVML) describes it."""

    name: str
    memory_bytes: Count | None = None
    """All of it."""


class GpuReading(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver (NVML) said of the GPU; nothing where it doesn't know.

    Asked by the harness right after the worker's answer, so that the clocks are still those of the
    window. https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
    """

    sm_clock_mhz: Count | None = None
    memory_clock_mhz: Count | None = None
    temperature_celsius: int | None = None
    """Of the GPU's die."""
    power_watts: Reading | None = None
    """Of the whole board, over the last moments; how many the driver doesn't say."""
    utilization: Reading | None = None
    """Share of the driver's last sample period (1/6 to 1 s) in which any kernel ran."""
    throttle_reasons: tuple[str, ...] = ()
    """What held the clocks below their highest, by NVML's names: ``sw_power_cap``."""
    interval_seconds: Seconds | None = None
    """From the question for the window to its answer, by the harness's clock: staging, lead-in and
    partial batch with it."""
    energy_joules: Reading | None = None
    """Of the whole board, in that interval."""


class Window(Event, tag="window", frozen=True, kw_only=True):
    """Consecutive whole-batch training steps were timed together."""

    trial: Count
    round: Count
    """Rounds count from 0; in each, every contender runs one window, in an order drawn anew."""
    position: Count
    """This contender's place in that order."""
    first_step: Count
    """Steps of the trial before the lead-in."""
    steps: Count
    """Timed steps."""
    examples: Count
    """Examples of the timed steps."""
    wall_seconds: Seconds
    cpu_seconds: Seconds
    """CPU time of the whole worker process, user and system, within the window."""
    lead_in_steps: Count
    lead_in_seconds: Seconds
    """Steps before the window, not part of it: caches and clocks settle."""
    partial_steps: Count = 0
    partial_seconds: Seconds = 0.0
    """The partial last batch of an epoch, trained after the window, not part of it."""
    stage_seconds: Seconds
    """Gathering the batches on the host and staging them on the device, before the clock."""
    loss_sum: Loss | None
    """Over all ``trained_examples``, in nats."""
    correct: Count
    trained_examples: Count
    """Examples of lead-in, window and partial batch."""
    minor_faults: Count
    major_faults: Count
    involuntary_switches: Count
    """Times the kernel took the CPU from the worker within the window."""
    steal_seconds: Reading
    """CPU seconds that the hypervisor gave to others, over all CPUs, within the window."""
    idle_seconds: Reading | None = None
    """CPU seconds that were left over within the window, on all CPUs that the worker may use.
    Nothing where the kernel does not show it, in records of earlier versions, and of scripts."""
    load: Reading
    """System load of the last minute, after the window."""
    frequency_mhz: Reading | None = None
    waiting_seconds: Seconds
    """How long the worker had waited for its turn."""
    waiting_cpu_seconds: Seconds
    """CPU seconds that it used while it waited: close to 0, or it disturbed the others."""
    control_seconds: Seconds
    """A fixed NumPy matrix product, timed in the harness just before the window."""
    gpu: GpuReading | None = None
    """Of cells on a GPU."""
    gather_cpu_seconds: Seconds = 0.0
    """What the worker's own code took to gather the batches on the host. CPU times from here on are
    of the worker's process, all threads; 0 in records of earlier versions, and of scripts."""
    stage_cpu_seconds: Seconds = 0.0
    """What the adapter took to stage them."""
    lead_in_cpu_seconds: Seconds = 0.0
    partial_cpu_seconds: Seconds = 0.0
    read_before_seconds: Seconds = 0.0
    """Wall seconds of reading the weights right before the first step."""
    read_before_cpu_seconds: Seconds = 0.0
    read_seconds: Seconds = 0.0
    """Wall seconds of reading metrics and weights right after the last step."""
    read_cpu_seconds: Seconds = 0.0
    read_again_seconds: Seconds = 0.0
    """The same once more: what reading costs when nothing is left to do."""
    read_again_cpu_seconds: Seconds = 0.0
    total_seconds: Seconds = 0.0
    """Wall seconds from the question for this window to its answer, by the worker's clock."""
    total_cpu_seconds: Seconds = 0.0
    """Likewise, CPU seconds."""
    answer_seconds: Seconds = 0.0
    """Wall seconds from the question for this window to its answer, by the harness's own clock."""
    answer_cpu_seconds: Seconds = 0.0
    """CPU seconds of the worker's process between these, as the kernel tells the harness."""
    children_cpu_seconds: Seconds = 0.0
    """Likewise, of all processes that the worker has started."""
    weights_before: str = ""
    """Digest of the weights after staging, before the lead-in, as ``Hashes.weights``; empty in
    records of earlier versions, and of scripts."""
    weights_after: str = ""
    """Likewise, after the last step."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of an evaluation, counted twice."""

    examples: Positive
    loss_sum: Loss | None
    """As the adapter's ``evaluate`` says, in nats."""
    correct: Count
    recounted_loss_sum: Loss | None
    """As the harness counts from the adapter's ``logits``."""
    recounted_correct: Count


class Evaluation(Event, tag="evaluation", frozen=True, kw_only=True):
    """The test set was evaluated."""

    trial: Count
    epoch: Count
    """Epochs trained."""
    step: Count
    loss_sum: Loss | None
    correct: Count
    examples: Count
    seconds: Seconds
    stage_seconds: Seconds
    sample: Sample | None = None
    """Nothing in records of earlier versions."""


class TrialFinished(Event, tag="trial_finished", frozen=True, kw_only=True):
    """A worker ended as it should."""

    trial: Count
    phases: dict[str, Seconds]
    """Seconds of spawn, import, build, stage, first_step, warm_up, training, evaluation."""
    hashes: Hashes
    steps: Count
    peak_memory_bytes: Count
    """Peak resident memory of the worker (VmHWM)."""
    device: str
    """Where the framework says that the weights were. A worker sees the chosen GPU alone and calls
    it ``gpu:0``."""
    result_device: str = ""
    """Likewise, that the result of a forward pass was; empty in records of earlier versions."""
    gpu: GpuModel | None = None
    """Of cells on a GPU."""
    peak_device_memory_bytes: Count | None = None
    """Most that tensors took of the GPU at once, where the framework counts it."""
    held_device_memory_bytes: Count | None = None
    """Memory of the GPU that the worker's process held at its end, by the driver (NVML): the
    framework's pool and the CUDA context with it. Nothing where the driver doesn't show it, as in
    most containers."""
    threads: dict[str, Count]
    """Thread settings that the worker's libraries report."""
    effects: dict[str, str] = {}
    """Setting that the worker was given (an environment variable, or one of glibc's in one) → what
    was seen in its place; empty where it was seen to take effect. Those that can't be seen from
    inside are left out; all of them in records of earlier versions, and of scripts."""


class Failure(Event, tag="failure", frozen=True, kw_only=True):
    """A cell could not be verified or measured to its end."""

    cell: str
    trial: Count | None = None
    block: Count | None = None
    phase: str
    reason: str
    """One line."""
    detail: str = ""
    """Traceback, where there is one, and the tail of what the worker printed."""


class Skip(Event, tag="skip", frozen=True, kw_only=True):
    """Something was left out for a declared reason."""

    what: str
    reason: str


class BlockFinished(Event, tag="block_finished", frozen=True, kw_only=True):
    """All trials of a block have ended; only such blocks are read."""

    block: Count
    group: str
    long: bool
    trials: tuple[Count, ...]


class RunFinished(Event, tag="run_finished", frozen=True, kw_only=True):
    """The run came to its own end."""

    exit_code: Count


AnyEvent = (
    Header
    | Parity
    | Audit
    | DropoutCheck
    | LoaderCheck
    | TrialStarted
    | Window
    | Evaluation
    | TrialFinished
    | Failure
    | Skip
    | BlockFinished
    | RunFinished
)


class DatasetUsed(msgspec.Struct, frozen=True, kw_only=True):
    """The dataset of a run."""

    name: str
    source: str
    """Where it was found: ``data-dir``, ``cache``, ``system``, ``download``, ``embedded``."""
    place: str
    sha256: str
    """As ``Hashes.data``."""
    train_examples: Count
    test_examples: Count
    fallback_for: str | None = None
    """The dataset that was asked for, where this one stands in for it."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Cells that are compared with each other."""

    name: str
    cells: tuple[str, ...]
    """Cell ids; the first is the reference contender."""
    title: str = ""
    rounds: Count | None = None
    """Rounds of a short block of this group; none: the plan's."""
    window_steps: Count | None = None
    """Timed steps of a window of this group; none: the plan's."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the run set out to do, fixed before the first measurement."""

    suite: str
    groups: tuple[Group, ...]
    looks: tuple[Count, ...]
    """Numbers of blocks after which verdicts are looked at: (10, 20), or the one that was asked."""
    rounds: Count
    window_steps: Count
    lead_in_steps: Count
    long_trials: bool
    aa: bool
    seed: Seed
    """Of the short trials, and of what is drawn for the run as a whole."""
    seeds: tuple[Seed, ...] = ()
    """Of the long trials: one long block of each group for each, numbered from 0."""
    budget_seconds: Seconds | None = None
    timeout_seconds: Seconds | None = None
    """After which a silent worker is taken for hung, where the user has said so."""


Study = Literal["run", "verify", "reproduce", "compare", "gate", "tax", "micro"]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``run.json``: all that is known before the first measurement."""

    format_version: int = FORMAT_VERSION
    run: str
    created: str
    """ISO 8601, UTC."""
    levelfield: str
    study: Study = "run"
    """The command that makes such a run, which says how it is judged."""
    command: tuple[str, ...]
    """The command line that makes such a run, from ``levelfield`` on."""
    git_commit: str | None
    """Of the checkout that holds the implementations, the user's own before ours; with ``+`` where
    it has changes."""
    machine: Machine
    environments: tuple[Environment, ...]
    cells: tuple[Cell, ...]
    titles: dict[str, str]
    """Framework → its own spelling."""
    plan: Plan
    datasets: tuple[DatasetUsed, ...]
    worker_environment: dict[str, dict[str, str]]
    """Cell id → the environment variables that its workers got, with ``~`` for the home folder."""
    harness: dict[str, str] = {}
    """Versions of the harness's own Python and of NumPy, which computes the control kernel."""
    code: dict[str, str] = {}
    """``NAME`` or ``NAME~VARIANT`` of an implementation → digest of the files in its folder and of
    the worker's own code."""
    gate: GateTerms | None = None
    """What the run is judged by, where it is a gate."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A stored run, read back."""

    manifest: Manifest
    events: Sequence[AnyEvent]
