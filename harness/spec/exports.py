"""What ``levelfield export`` writes: a row of the table, and an entry of each foreign format."""

from __future__ import annotations

from typing import Literal

import msgspec

Format = Literal["csv", "parquet", "github", "bmf"]
"""What reads an export."""


class WindowRow(msgspec.Struct, frozen=True, kw_only=True):
    """One timed window: a row of the CSV and of the Parquet table.

    Only windows of finished blocks, in the order of blocks, trials and training. What holds for the
    whole trial, cell or run is repeated in each row, so that a table needs no other one.
    """

    run: str
    created: str
    """When the run began: ISO 8601, UTC."""
    machine: str
    """The machine's fingerprint: rates of different ones are not comparable."""
    git_commit: str | None
    """Of the checkout that held the implementations; with ``+`` where it had changes."""
    levelfield: str
    """Version of levelfield."""
    group: str
    """Cells of one group are compared with each other."""
    cell: str
    recipe: str
    """With ``+field=value`` for each field that the run changed."""
    batch_size: int
    """Examples of a training step."""
    framework: str
    version: str
    variant: str
    mode: str
    input: str
    loader_workers: int
    device: str
    threads: int
    settings: str
    parity: Literal["passed", "failed", "missing"]
    """Whether the cell computes what the oracle computes; numbers of others say nothing."""
    long: bool
    """Whether the trial trained the whole recipe, alone, for its accuracy curve: short trials are
    the ones that compare speed."""
    block: int
    seed: int
    trial: int
    twin: bool
    """Whether this is the reference contender's second copy (A/A)."""
    round: int
    position: int
    """The contender's place in the order of its round."""
    at_unix_seconds: float
    """When the window was recorded, by the harness's clock."""
    first_step: int
    steps: int
    """Timed steps."""
    examples: int
    """Of the timed steps."""
    wall_seconds: float
    """Of the timed steps, by the worker's monotonic clock, read after ``synchronize()``."""
    examples_per_second: float | None
    """``examples`` ÷ ``wall_seconds``; nothing where no clock can have shown them."""
    cpu_seconds: float
    """User and system time of the whole worker process, within the window."""
    lead_in_steps: int
    """Untimed steps before the window."""
    lead_in_seconds: float
    partial_steps: int
    """The partial last batch of an epoch, after the window and not part of it."""
    partial_seconds: float
    stage_seconds: float
    """Gathering and staging the batches, before the clock starts."""
    loss_sum_nats: float | None
    """Over ``trained_examples``."""
    correct_examples: int
    """Of ``trained_examples``."""
    trained_examples: int
    """Of lead-in, window and partial batch."""
    minor_faults: int
    major_faults: int
    involuntary_switches: int
    steal_seconds: float
    """CPU seconds that the hypervisor gave to others, over all CPUs."""
    load: float
    """System load of the last minute."""
    frequency_mhz: float | None
    waiting_seconds: float
    """Before the window, for its turn."""
    waiting_cpu_seconds: float
    control_seconds: float
    """A fixed NumPy matrix product, timed in the harness just before the window."""
    gpu_sm_clock_mhz: int | None = None
    """This and what follows: right after the window, of the GPU that the cell ran on; nothing on
    the CPU, or where the driver doesn't tell."""
    gpu_memory_clock_mhz: int | None = None
    gpu_temperature_celsius: int | None = None
    gpu_power_watts: float | None = None
    gpu_utilization: float | None = None
    """Share of the driver's last sample period in which any kernel ran."""
    gpu_throttle_reasons: str | None = None
    """NVML's names of what held the clocks below their highest, with spaces between."""
    gpu_interval_seconds: float | None = None
    """From the question for the window to its answer, by the harness's clock."""
    gpu_energy_joules: float | None = None
    """Of the whole board in that interval, in which ``trained_examples`` were trained."""


class GithubBenchmark(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the list that github-action-benchmark reads (tool ``customBiggerIsBetter``)."""

    name: str
    unit: str
    value: float
    range: str
    """The interval, in words."""
    extra: str
    """Lines that its charts show beside a point."""


class BencherMetric(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric of the Bencher Metric Format: cell → measure → one of these."""

    value: float
    lower_value: float | None = None
    upper_value: float | None = None
