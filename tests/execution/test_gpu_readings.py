"""Readings of a GPU from answers of NVML, and their way into a block's records."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from harness.execution import block
from harness.execution.block import Block, BlockPlan
from harness.execution.gpu_readings import THROTTLE_REASONS, GpuReader, open_gpu, reason_names
from harness.spec.events import GpuModel, TrialFinished, TrialStarted, Window

PLAN = BlockPlan(number=1, group="g", long=False, seed=0, rounds=2, window_steps=2, epochs=2)
EXAMPLE = GpuModel(name="NVIDIA Example 40GB", memory_bytes=40 * 2**30)
NOT_SUPPORTED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def test_a_reading_is_in_the_units_that_its_fields_say(recorded_nvml):
    reader = GpuReader(recorded_nvml(), None)
    reading = reader.since(reader.start())
    assert (reading.sm_clock_mhz, reading.memory_clock_mhz) == (1410, 1215)
    assert (reading.temperature_celsius, reading.power_watts) == (54, 153.25)
    assert reading.utilization == 0.97
    assert reading.throttle_reasons == ("sw_power_cap",)
    # The counter says millijoules, and moves by 250 J a question here.
    assert reading.energy_joules == 250
    assert reading.interval_seconds >= 0


@pytest.mark.parametrize(
    ("function", "field", "unread"),
    [
        ("nvmlDeviceGetClockInfo", "sm_clock_mhz", None),
        ("nvmlDeviceGetTemperature", "temperature_celsius", None),
        ("nvmlDeviceGetPowerUsage", "power_watts", None),
        ("nvmlDeviceGetUtilizationRates", "utilization", None),
        ("nvmlDeviceGetTotalEnergyConsumption", "energy_joules", None),
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttle_reasons", ()),
    ],
)
def test_what_a_gpu_does_not_tell_is_left_open_and_the_rest_is_read(
    recorded_nvml, function, field, unread
):
    older = {"nvmlDeviceGetCurrentClocksThrottleReasons": NOT_SUPPORTED}
    reader = GpuReader(recorded_nvml(**older, **{function: NOT_SUPPORTED}), None)
    reading = reader.since(reader.start())
    assert getattr(reading, field) == unread
    others = {"sm_clock_mhz", "temperature_celsius", "power_watts", "utilization"} - {field}
    assert None not in {getattr(reading, other) for other in others}


def test_an_older_driver_is_asked_by_the_older_name(recorded_nvml):
    missing = pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    nvml = recorded_nvml(
        nvmlDeviceGetCurrentClocksEventReasons=missing,
        nvmlDeviceGetCurrentClocksThrottleReasons=0x60,
    )
    reader = GpuReader(nvml, None)
    assert reader.since(reader.start()).throttle_reasons == (
        "sw_thermal_slowdown",
        "hw_thermal_slowdown",
    )


def test_a_gpu_that_does_not_tell_its_memory_still_has_a_name(recorded_nvml):
    assert GpuReader(recorded_nvml(), None).model() == EXAMPLE
    silent = recorded_nvml(nvmlDeviceGetMemoryInfo=NOT_SUPPORTED)
    assert GpuReader(silent, None).model() == GpuModel(name="NVIDIA Example 40GB")
    assert GpuReader(recorded_nvml(nvmlDeviceGetName=NOT_SUPPORTED), None).model() is None


def test_memory_is_that_of_the_process_that_was_asked_for(recorded_nvml):
    seen = [
        SimpleNamespace(pid=10, usedGpuMemory=1_000),
        SimpleNamespace(pid=11, usedGpuMemory=2_000),
        SimpleNamespace(pid=12, usedGpuMemory=None),
    ]
    reader = GpuReader(recorded_nvml(nvmlDeviceGetComputeRunningProcesses=seen), None)
    assert reader.memory_of(11) == 2_000
    assert reader.memory_of(12) is None
    assert reader.memory_of(13) is None


def test_names_of_reasons_are_the_bindings_own():
    of_bindings = {
        value: name.removeprefix("nvmlClocksThrottleReason")
        for name, value in vars(pynvml).items()
        if name.startswith("nvmlClocksThrottleReason")
        and not name.endswith(("All", "None", "UserDefinedClocks"))
    }
    ours = {bit: name.replace("_", "") for bit, name in THROTTLE_REASONS.items()}
    assert ours == {bit: name.lower() for bit, name in of_bindings.items()}


def test_a_reason_that_is_new_gets_its_number():
    assert reason_names(0) == ()
    assert reason_names(0x8000_0000_0000_0001) == ("gpu_idle", "0x8000000000000000")


def test_where_there_is_no_driver_there_is_no_reader():
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a driver")
    with open_gpu("0") as reader:
        assert reader is None


def test_every_function_that_is_asked_for_is_in_the_bindings(recorded_nvml):
    for name in [*recorded_nvml().answers, "nvmlDeviceGetCurrentClocksThrottleReasons"]:
        assert callable(getattr(pynvml, name))


@pytest.mark.parametrize(
    ("visible", "found"), [("1", 1), ("GPU-bb", 1), ("GPU-aaaa-1", 0), ("GPU-cc", None)]
)
def test_a_gpu_is_found_by_its_number_or_the_beginning_of_its_uuid(monkeypatch, visible, found):
    uuids = ["GPU-aaaa-1", "GPU-bbbb-2"]
    for name, answer in {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(uuids),
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": uuids.__getitem__,
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: 1_000 * (handle + 1),
    }.items():
        monkeypatch.setattr(pynvml, name, answer)
    with open_gpu(visible) as reader:
        assert (reader and reader.start().energy_joules) == (None if found is None else found + 1)


def test_windows_and_trials_of_a_gpu_carry_its_readings(
    contender, tmp_path, recorded_nvml, monkeypatch
):
    """``strays`` says that it computes on a GPU; nobody here can know better."""
    opened, events, pids = [], [], []
    nvml = recorded_nvml()

    @contextmanager
    def open_recorded(visible):
        opened.append(visible)
        yield GpuReader(nvml, None)
        opened.append("closed")

    def started(*arguments):
        process = block_started(*arguments)
        pids.append(process.pid)
        nvml.answers["nvmlDeviceGetComputeRunningProcesses"] = [
            SimpleNamespace(pid=pid, usedGpuMemory=2**20 * (1 + place))
            for place, pid in enumerate(pids)
        ]
        return process

    block_started = block.started_worker
    monkeypatch.setattr(block, "started_worker", started)
    contenders = [contender("strays", device="gpu:1"), contender("strays", device="gpu:1")]
    Block(
        PLAN, contenders, tmp_path, events.append, itertools.count(1), open_gpu=open_recorded
    ).run()

    assert opened == ["1", "closed"]
    windows = [event for event in events if isinstance(event, Window)]
    assert len(windows) == 4
    for window in windows:
        assert window.gpu.energy_joules == 250
        assert window.gpu.interval_seconds >= window.wall_seconds + window.lead_in_seconds
        assert window.gpu.sm_clock_mhz == 1410
    finished = [event for event in events if isinstance(event, TrialFinished)]
    assert [each.held_device_memory_bytes for each in finished] == [2**20, 2**21]
    assert {each.gpu for each in finished} == {EXAMPLE}
    assert {each.peak_device_memory_bytes for each in finished} == {123_456_789}
    assert {(each.device, each.result_device) for each in finished} == {("gpu:0", "gpu:0")}


def test_nothing_is_read_of_a_gpu_where_nothing_computes_on_one(contender, tmp_path):
    def never(visible):
        raise AssertionError("a GPU was opened")

    events = []
    Block(PLAN, [contender()], tmp_path, events.append, itertools.count(1), open_gpu=never).run()
    assert [event for event in events if isinstance(event, TrialStarted)]
    assert all(event.gpu is None for event in events if isinstance(event, Window))
