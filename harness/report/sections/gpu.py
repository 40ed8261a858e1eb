"""What each contender took of the GPU: memory, clocks, heat, power, energy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.flags import THROTTLING
from harness.analysis.gpus import LEAST_ENERGY_SECONDS, GpuUse, Range, gpu_uses
from harness.report.formats import (
    NOTHING,
    count,
    gibibytes,
    joined,
    level,
    mebibytes,
    number,
    percent,
    seconds,
    wide_bounds,
)
from harness.report.page import Block, Column, Datum, Paragraph, Section, Table
from harness.report.sections.story import Story
from harness.spec.manifest import Group


def gpu_section(story: Story) -> Section | None:
    """The GPU's share of a run; nothing where no cell was to run on one."""
    on_gpu = {cell.id for cell in story.run.manifest.cells if cell.device != "cpu"}
    if not on_gpu:
        return None
    blocks: list[Block] = []
    for group in story.cast.groups:
        if on_gpu.isdisjoint(group.cells):
            continue
        blocks += [*story.heading(group), *_group_blocks(story, group)]
    return Section(
        id="gpu",
        title="The GPU",
        lead="What the driver (NVML) and the frameworks themselves said of the GPU. The harness "
        "reads it between windows, never within one.",
        blocks=tuple(blocks),
    )


def _group_blocks(story: Story, group: Group) -> Iterator[Block]:
    blocks = story.run.short_blocks, story.run.long_blocks
    short, long = (gpu_uses(group, each) for each in blocks)
    uses = short or long
    if not uses:
        yield Paragraph(text="No trial was finished.", tone="quiet")
        return
    yield _memory_table(story, [*short, *long])
    if any(use.sm_clock_mhz or use.temperature_celsius or use.power_watts for use in uses):
        yield _state_table(story, uses)
        yield _energy_table(story, uses)
    else:
        yield Paragraph(
            text="The driver told nothing of clocks, temperature, power or energy.", tone="doubt"
        )


def _memory_table(story: Story, uses: Sequence[GpuUse]) -> Table:
    """One row a cell: the largest of its trials, short and long, first and second copy."""
    by_cell: dict[str, list[GpuUse]] = {}
    for use in uses:
        by_cell.setdefault(use.contender.cell, []).append(use)
    return Table(
        caption="Device and its memory",
        columns=(
            Column("Contender"),
            Column("GPU"),
            Column("Weights and results on"),
            Column("Peak, by the framework", number=True),
            Column("Held at the end, by the driver", number=True),
            Column("Largest of", number=True),
        ),
        rows=tuple(
            (
                story.contender(cell),
                Datum(_models_in_words(own)),
                Datum(joined([*dict.fromkeys(name for use in own for name in use.devices)])),
                Datum(_largest(own, "peak_memory_bytes")),
                Datum(_largest(own, "held_memory_bytes")),
                Datum(count(sum(use.trials for use in own), "trial")),
            )
            for cell, own in by_cell.items()
        ),
        note="A worker sees the chosen GPU alone and calls it gpu:0. By the framework: the most "
        f"that its tensors took at once; {NOTHING}: it keeps no count. By the driver: all that the "
        "worker's process held, CUDA's own share and what the framework keeps in reserve with it; "
        f"{NOTHING}: the driver doesn't show it, as in most containers.",
    )


def _models_in_words(uses: Sequence[GpuUse]) -> str:
    """``NVIDIA A100 80GB PCIe, 80.0 GiB``."""
    return (
        "; ".join(
            model.name
            if model.memory_bytes is None
            else f"{model.name}, {gibibytes(model.memory_bytes)}"
            for model in dict.fromkeys(model for use in uses for model in use.models)
        )
        or NOTHING
    )


def _largest(uses: Sequence[GpuUse], field: str) -> str:
    known = [value for use in uses if (value := getattr(use, field)) is not None]
    return mebibytes(max(known)) if known else NOTHING


def _state_table(story: Story, uses: Sequence[GpuUse]) -> Table:
    return Table(
        caption="Clocks, temperature and power after each window",
        columns=(
            Column("Contender"),
            Column("SM clock, MHz", number=True),
            Column("Memory clock, MHz", number=True),
            Column("Temperature, °C", number=True),
            Column("Power, W", number=True),
            Column("Busy", number=True),
            Column("Throttled windows", number=True),
            Column("Reasons for lower clocks"),
        ),
        rows=tuple(
            (
                _contender(story, use),
                Datum(_in_words(use.sm_clock_mhz)),
                Datum(_in_words(use.memory_clock_mhz)),
                Datum(_in_words(use.temperature_celsius)),
                Datum(_in_words(use.power_watts)),
                Datum(NOTHING if use.utilization is None else percent(use.utilization.median)),
                Datum(
                    percent(use.throttled / use.windows) if use.windows else NOTHING,
                    "doubt" if use.throttled else "plain",
                ),
                Datum(_reasons_in_words(use)),
            )
            for use in uses
        ),
        note="Median, with the lowest and the highest in brackets. Busy: the median share of the "
        "driver's last sample period in which any kernel ran. Throttled: "
        f"{joined(sorted(THROTTLING))}, by NVML's names; such windows are flagged, and they count.",
    )


def _in_words(of: Range | None) -> str:
    """``1,410 [1,395, 1,410]``; one number where all are the same."""
    if of is None:
        return NOTHING
    if of.low == of.high:
        return number(of.median)
    return f"{number(of.median)} [{number(of.low)}, {number(of.high)}]"


def _reasons_in_words(use: GpuUse) -> str:
    """``sw_power_cap 12, gpu_idle 3``: in so many windows."""
    ordered = sorted(use.reasons.items(), key=lambda item: -item[1])
    return ", ".join(f"{reason} {windows:,}" for reason, windows in ordered) or "none"


def _energy_table(story: Story, uses: Sequence[GpuUse]) -> Table:
    rows = []
    for use in uses:
        energy = use.energy
        if energy is None:
            short = use.window_seconds < LEAST_ENERGY_SECONDS
            why = (
                f"windows too short ({seconds(use.window_seconds)}; needs "
                f"{number(LEAST_ENERGY_SECONDS)} s)"
                if short
                else "the driver counts no energy"
            )
            rows.append((_contender(story, use), Datum(NOTHING), Datum(why, "quiet"), Datum("")))
            continue
        of = energy.joules_per_1000_examples
        interval = of.ratio_interval(0.95)
        rows.append(
            (
                _contender(story, use),
                Datum(number(of.ratio), strong=True),
                Datum(
                    f"{wide_bounds(interval)} at {level(interval)}"
                    if interval
                    else f"{NOTHING}, of one block"
                ),
                Datum(percent(energy.timed_share)),
            )
        )
    return Table(
        caption="Energy of the whole board",
        columns=(
            Column("Contender"),
            Column("Joules per 1,000 examples", number=True),
            Column("Interval, over blocks"),
            Column("Within timed windows", number=True),
        ),
        rows=tuple(rows),
        note="Counted from the question for a window to its answer, staging and lead-in with it, "
        f"over windows of {number(LEAST_ENERGY_SECONDS)} s or more: the driver's counter moves "
        "only now and then. Other contenders wait on the GPU meanwhile, and what it draws at rest "
        "is counted too. The last column says how much of that time lay within the timed windows.",
    )


def _contender(story: Story, use: GpuUse) -> Datum:
    return story.contender(use.contender.cell, twin=use.contender.twin)
