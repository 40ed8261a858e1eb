"""What was seen: the events of ``trials.jsonl``, one a line.

Raw values only: rates, ratios and verdicts are computed anew by every reader. Durations are wall
seconds of the worker's monotonic clock, read after ``synchronize()``, unless a name says otherwise.

Format history, of it and of ``run.json``:

* 1 (0.1.0): the first.
* 2: the manifest names its study.
"""

from __future__ import annotations

import msgspec

from harness.spec.bounds import Count, Loss, Moment, Positive, Reading, Seconds, Seed
from harness.spec.event import Event
from harness.spec.proof_events import Audit, DropoutCheck, Hashes, LoaderCheck, Parity

FORMAT_VERSION = 2


class Header(Event, tag="header", frozen=True, kw_only=True):
    """The first line of the file."""

    format_version: int = FORMAT_VERSION


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
    trained_at: Moment | None = None
    """When that was, of a base of a gate that an earlier gate has trained with the same code,
    packages, data, seed and machine; none: now."""


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
    effects: dict[str, str] = msgspec.field(default_factory=dict)
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
