"""The section of the GPU: there where cells ran on one, and never a figure that nobody read."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.report.cast import cast_of
from harness.report.markdown import markdown
from harness.report.page import Section, Table
from harness.report.sections.gpu import gpu_section
from harness.report.sections.story import Story
from harness.report.view import page_of
from harness.spec.events import GpuModel, GpuReading, TrialFinished, Window
from harness.spec.manifest import Run

READING = GpuReading(
    sm_clock_mhz=1410,
    memory_clock_mhz=1215,
    temperature_celsius=61,
    power_watts=187.4,
    utilization=0.93,
    throttle_reasons=("sw_power_cap",),
    interval_seconds=1.5,
    energy_joules=281.6,
)
STEP_SECONDS = {"pytorch": 0.0600, "gluon": 0.0700, "keras": 0.0100}


def section(run: Run) -> Section | None:
    return gpu_section(Story(Observations(run), judge(Observations(run)), cast_of(run.manifest)))


def table(of: Section | None, caption: str) -> list[list[str]]:
    assert of is not None
    [found] = [each for each in of.blocks if isinstance(each, Table) and each.caption == caption]
    return [[datum.text for datum in row] for row in found.rows]


def story(tell: Callable[..., Run], reading: GpuReading = READING) -> Run:
    return tell(blocks=5, looks=(5,), long_trials=False, step_seconds=STEP_SECONDS, gpu=reading)


def with_memory(run: Run) -> Run:
    events = [
        msgspec.structs.replace(
            event,
            gpu=GpuModel(name="NVIDIA Example", memory_bytes=40 * 2**30),
            peak_device_memory_bytes=300 * 2**20,
            held_device_memory_bytes=800 * 2**20,
        )
        if isinstance(event, TrialFinished) and event.trial % 4 != 1
        else event
        for event in run.events
    ]
    return Run(manifest=run.manifest, events=events)


def test_a_run_on_the_cpu_has_no_such_section(tell: Callable[..., Run]) -> None:
    assert section(tell(blocks=5, looks=(5,))) is None
    assert "The GPU" not in markdown(page_of(Observations(tell(blocks=5, looks=(5,)))))


def test_memory_is_told_by_framework_and_by_driver(tell: Callable[..., Run]) -> None:
    rows = table(section(with_memory(story(tell))), "Device and its memory")
    # The reference's row holds both of its copies.
    assert rows == [
        ["PyTorch", "NVIDIA Example, 40.0 GiB", "gpu:0", "300 MiB", "800 MiB", "10 trials"],
        ["MXNet Gluon", "—", "gpu:0", "—", "—", "5 trials"],
        [
            "Keras (TensorFlow)",
            "NVIDIA Example, 40.0 GiB",
            "gpu:0",
            "300 MiB",
            "800 MiB",
            "5 trials",
        ],
    ]


def test_clocks_heat_and_power_are_told(tell: Callable[..., Run]) -> None:
    rows = table(section(story(tell)), "Clocks, temperature and power after each window")
    assert len(rows) == 4
    assert rows[1] == [
        "MXNet Gluon", "1,410", "1,215", "61.0", "187", "93 %", "0 %", "sw_power_cap 50",
    ]  # fmt: skip


def test_throttled_windows_are_counted_and_flagged(tell: Callable[..., Run]) -> None:
    hot = msgspec.structs.replace(READING, throttle_reasons=("hw_thermal_slowdown",))
    run = story(tell)
    events = [
        msgspec.structs.replace(event, gpu=hot)
        if isinstance(event, Window) and event.round < 5
        else event
        for event in run.events
    ]
    rows = table(
        section(Run(manifest=run.manifest, events=events)),
        "Clocks, temperature and power after each window",
    )
    assert {row[6] for row in rows} == {"50 %"}
    assert rows[1][7] == "hw_thermal_slowdown 25, sw_power_cap 25"
    text = markdown(page_of(Observations(Run(manifest=run.manifest, events=events))))
    assert "heat or its power supply held the GPU's clocks down | 100 | 50 %" in text


def test_energy_is_told_where_windows_were_long_enough(tell: Callable[..., Run]) -> None:
    rows = table(section(story(tell)), "Energy of the whole board")
    pytorch, gluon, keras, twin = rows
    # 281.6 J for 22 batches of 256 in every window: all blocks agree.
    assert gluon[:3] == ["MXNet Gluon", "50.0", "[50.0, 50.0] at 95 %"]
    assert pytorch[1] == twin[1] == "50.0"
    assert keras[1:3] == ["—", "windows too short (200 ms; needs 1.00 s)"]


def test_a_driver_that_tells_nothing_is_said_to(tell: Callable[..., Run]) -> None:
    found = section(story(tell, GpuReading()))
    assert found is not None
    assert [each.caption for each in found.blocks if isinstance(each, Table)] == [
        "Device and its memory"
    ]
    assert "told nothing of clocks" in markdown(page_of(Observations(story(tell, GpuReading()))))


def test_a_counter_that_a_gpu_lacks_is_no_short_window(tell: Callable[..., Run]) -> None:
    rows = table(
        section(story(tell, msgspec.structs.replace(READING, energy_joules=None))),
        "Energy of the whole board",
    )
    assert rows[0][2] == "the driver counts no energy"


def test_it_stands_between_costs_and_windows(tell: Callable[..., Run]) -> None:
    ids = [each.id for each in page_of(Observations(story(tell))).sections]
    assert ids[ids.index("gpu") - 1 : ids.index("gpu") + 2] == ["costs", "gpu", "windows"]
