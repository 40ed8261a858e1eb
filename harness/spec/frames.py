"""What a row of each data frame holds: the one definition of its columns, their types and words.

A column's type follows from its annotation: see ``columns``. Losses are nats, accuracies fractions.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, inspect

from harness.spec.exports import WindowRow

Text = Annotated[str, Meta(extra={"text": True})]
"""Words that rarely repeat themselves."""
HeldBy = Literal["proof", "loader", "dropout", "audit"]


class Column(NamedTuple):
    """A column of a frame."""

    name: str
    dtype: str
    """``category`` for words that repeat themselves, ``string`` for others; ``Int64`` and
    ``boolean`` where something may be missing; else ``int64``, ``float64`` and ``bool``."""
    optional: bool
    """Whether a value may be missing."""


class CellRow(msgspec.Struct, frozen=True, kw_only=True):
    """What tells rows of different runs and cells apart."""

    run: str
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


class _TrialColumns(CellRow, frozen=True, kw_only=True):
    long: bool
    """Whether the trial trained the whole recipe, alone, for its accuracy curve."""
    block: int
    seed: int
    trial: int
    twin: bool
    """Whether this is the reference contender's second copy (A/A)."""


class TrialRow(_TrialColumns, frozen=True, kw_only=True):
    """One trial that ended as it should, of a finished block."""

    started_unix_seconds: float
    """When its worker was spawned, by the harness's clock."""
    finished_unix_seconds: float
    steps: int
    windows: int
    evaluations: int
    spawn_seconds: float | None
    """This and the phases that follow: nothing where the worker tells of no such phase."""
    import_seconds: float | None
    build_seconds: float | None
    stage_seconds: float | None
    first_step_seconds: float | None
    warm_up_seconds: float | None
    training_seconds: float | None
    evaluation_seconds: float | None
    peak_memory_bytes: int
    """Peak resident memory of the worker (VmHWM)."""
    peak_device_memory_bytes: int | None
    """Most that tensors took of the GPU at once; nothing on the CPU."""
    held_device_memory_bytes: int | None
    """Memory of the GPU that the worker held at its end, by the driver."""


class EvaluationRow(_TrialColumns, frozen=True, kw_only=True):
    """One evaluation of the test set, in a finished block."""

    at_unix_seconds: float
    """When it was recorded, by the harness's clock."""
    epoch: int
    """Epochs trained."""
    step: int
    loss_sum_nats: float | None
    """Over ``examples``."""
    correct_examples: int
    examples: int
    test_accuracy: float | None
    """``correct_examples`` ÷ ``examples``."""
    evaluation_seconds: float
    """Wall seconds by the worker's clock, without staging."""
    stage_seconds: float


class RateRow(CellRow, frozen=True, kw_only=True):
    """How fast one contender trained, over all finished short blocks."""

    twin: bool
    """Whether this is the reference contender's second copy (A/A)."""
    blocks: int
    examples_per_second: float
    """Geometric mean over blocks of the median over the block's windows."""
    examples_per_second_low: float | None
    """With ``examples_per_second_high`` its 95 % interval; nothing below 2 blocks."""
    examples_per_second_high: float | None
    examples_per_second_by_total_time: float
    """All examples ÷ all seconds of its windows: stalls weigh what they cost."""
    effective_threads: float
    """CPU seconds ÷ wall seconds, within windows."""
    waiting_cpu_share: float
    """CPU seconds ÷ wall seconds while it waited for its turn."""


class VerdictRow(msgspec.Struct, frozen=True, kw_only=True):
    """One contender (``cell``) against another (``against``) of its group."""

    run: str
    group: str
    cell: str
    against: str
    status: str
    """``judged``: there is a verdict. ``indicative``: numbers without one. ``not_comparable``: not
    even numbers. ``not_measured``: no block has both."""
    verdict: str | None
    """``faster``, ``slower``, ``equivalent`` or ``inconclusive``, said of ``cell``."""
    reason: str
    detail: Text
    """What exactly stands in the way."""
    times_faster: float | None
    """Examples/s of ``cell`` ÷ those of ``against``: above 1, ``cell`` is the faster one."""
    times_faster_low: float | None
    """With ``times_faster_high`` the interval for differences, at ``confidence``."""
    times_faster_high: float | None
    confidence: float | None
    """Two-sided: 0.99 where α is .01."""
    equivalence_low: float | None
    """With ``equivalence_high`` the interval that is held against ±3 %."""
    equivalence_high: float | None
    equivalence_confidence: float | None
    p: float | None
    """Two-sided, of no difference."""
    p_adjusted: float | None
    """By Holm's method, within all pairs of contenders of the run."""
    blocks: int
    """Blocks with both contenders."""
    noise_floor_low: float | None
    """With ``noise_floor_high`` what the reference shows against its own second copy."""
    noise_floor_high: float | None
    blocks_to_settle: int | None
    """Blocks that would probably settle it; 1001 means more than 1,000."""
    times_faster_by_total_time: float | None


class ParityRow(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a cell was held against what it has to compute."""

    run: str
    cell: str
    held_by: HeldBy
    """``proof``: against the oracle. ``loader``: its own data loader. ``dropout``: its masks.
    ``audit``: a timed trial."""
    at_unix_seconds: float
    """When it was recorded, by the harness's clock."""
    trial: int | None
    """The audited trial, or the one in whose worker the proof was taken."""
    precision: str | None
    """Of proofs: what the cell computed in."""
    passed: bool
    failures: int
    failed_checks: Text
    """One clause for each check that failed, with semicolons between."""
    checks: int
    """Deviations of a proof, checks of an audit; 1 of the others."""
    tolerance_share_at_step_1: float | None
    """Of proofs: the largest deviation ÷ tolerance up to step 1; nothing where it is not finite."""
    tolerance_share_later: float | None
    """Likewise, of all steps after it."""


class CurveRow(CellRow, frozen=True, kw_only=True):
    """A point of a long trial's curve: the end of a window, or an evaluation at an epoch's end."""

    block: int
    seed: int
    trial: int
    point: Literal["window", "epoch"]
    epoch: float
    """Epochs trained, with fractions."""
    train_seconds: float
    """Wall seconds of all training steps so far, without staging, evaluation and waiting."""
    train_loss_nats: float | None
    """Mean over the examples since the window, or the evaluation, before."""
    train_accuracy: float | None
    """Likewise."""
    test_loss_nats: float | None
    """Mean over the test set; nothing at the end of a window."""
    test_accuracy: float | None


FRAMES: dict[str, type[msgspec.Struct]] = {
    "windows": WindowRow,
    "trials": TrialRow,
    "evaluations": EvaluationRow,
    "rates": RateRow,
    "verdicts": VerdictRow,
    "parity": ParityRow,
    "curves": CurveRow,
}
"""Frame of a run → its rows."""


def columns(row: type[msgspec.Struct]) -> tuple[Column, ...]:
    """The columns of a frame whose rows are ``row``."""
    return tuple(_column(field.name, field.type) for field in msgspec.structs.fields(row))


def _column(name: str, annotation: Any) -> Column:
    info = inspect.type_info(annotation)
    parts = info.types if isinstance(info, inspect.UnionType) else (info,)
    [kind] = [part for part in parts if not isinstance(part, inspect.NoneType)]
    optional = len(parts) > 1
    free = isinstance(kind, inspect.Metadata) and bool((kind.extra or {}).get("text"))
    if free:
        return Column(name, "string", optional)
    if isinstance(kind, inspect.FloatType):
        return Column(name, "float64", optional)
    if isinstance(kind, inspect.IntType):
        return Column(name, "Int64" if optional else "int64", optional)
    if isinstance(kind, inspect.BoolType):
        return Column(name, "boolean" if optional else "bool", optional)
    return Column(name, "category", optional)
