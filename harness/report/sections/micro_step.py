"""Where the time of a training step goes: layer by layer, optimizer, and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.analysis.micro import LayerTime, StepTime
from harness.report.figures import Stack
from harness.report.formats import NOTHING, Amount
from harness.report.micro_words import Side, brief, modes_of
from harness.report.page import Block, Column, Datum, Details, Figure, Heading, Table


def step_blocks(sides: Sequence[Side], steps: Sequence[StepTime]) -> Iterator[Block]:
    """Where the time goes, first with the largest batch, the others folded away."""
    if not steps:
        return
    sizes = sorted({step.batch_size for step in steps}, reverse=True)
    yield Heading(text="Where a step's time goes")
    yield Figure(
        name="micro-steps",
        caption=f"Parts of one training step, batch {sizes[0]}: forward and backward together, "
        "layers of a kind added up. The rest is the step less its parts: the loss, and what holds "
        "the parts together; nothing is drawn where parts alone take longer than the step.",
        chart=_step_chart(sides, [step for step in steps if step.batch_size == sizes[0]]),
    )
    for mode in modes_of(sides):
        yield from _step_tables(sides, steps, mode, sizes[:1])
    others = [
        table for mode in modes_of(sides) for table in _step_tables(sides, steps, mode, sizes[1:])
    ]
    if others:
        yield Details(summary="Other batch sizes", blocks=tuple(others))


def _step_chart(sides: Sequence[Side], steps: Sequence[StepTime]) -> Stack:
    kinds = dict.fromkeys(layer.kind for step in steps for layer in step.layers)
    rows, styles = [], []
    for side in sides:
        for step in steps:
            if (step.framework, step.mode) != (side.framework.framework, side.mode):
                continue
            lengths = [
                sum(layer.seconds for layer in step.layers if layer.kind == kind) for kind in kinds
            ]
            lengths += [step.optimizer_seconds or 0.0, step.rest_seconds]
            rows.append((side.name, tuple(max(0.0, each) * 1000 for each in lengths)))
            styles.append(side.style)
    return Stack(
        unit="milliseconds",
        parts=(*kinds, "optimizer", "rest"),
        rows=tuple(rows),
        styles=tuple(styles),
    )


def _step_tables(
    sides: Sequence[Side], steps: Sequence[StepTime], mode: str, sizes: Sequence[int]
) -> Iterator[Table]:
    for size in sizes:
        own = {
            step.framework: step for step in steps if (step.mode, step.batch_size) == (mode, size)
        }
        shown = [side for side in sides if side.mode == mode and side.framework.framework in own]
        if shown:
            columns = [own[side.framework.framework] for side in shown]
            yield Table(
                caption=f"Where a step's time goes, {mode}, batch {size}",
                columns=(
                    Column("Part"),
                    *(Column(side.framework.title, number=True) for side in shown),
                ),
                rows=tuple(_step_rows(columns)),
                note="Backward is forward and backward together less forward, so it holds the "
                "noise of both. The rest is negative where the whole step is faster than its "
                "parts one by one, as it is where they are fused or overlap.",
            )


def _step_rows(steps: Sequence[StepTime]) -> Iterator[tuple[Datum, ...]]:
    names = dict.fromkeys(layer.layer for step in steps for layer in step.layers)
    for name in names:
        own = [_layer(step, name) for step in steps]
        yield (
            Datum(f"{name} forward"),
            *(
                _part(step, None if layer is None else layer.forward_seconds)
                for step, layer in zip(steps, own, strict=True)
            ),
        )
        yield (
            Datum(f"{name} backward"),
            *(
                _part(step, None if layer is None else layer.backward_seconds)
                for step, layer in zip(steps, own, strict=True)
            ),
        )
    yield (Datum("optimizer"), *(_part(step, step.optimizer_seconds) for step in steps))
    yield (Datum("rest"), *(_part(step, step.rest_seconds) for step in steps))
    yield (
        Datum("whole step", strong=True),
        *(Datum(brief(step.seconds), strong=True) for step in steps),
    )


def _layer(step: StepTime, name: str) -> LayerTime | None:
    return next((each for each in step.layers if each.layer == name), None)


def _part(step: StepTime, value: float | None) -> Datum:
    if value is None:
        return Datum(NOTHING)
    share = round(100 * step.share(value), 1) + 0.0  # no minus before a zero
    return Datum(Amount(f"{brief(value)} ({share:.1f} %)", value, "s"))
