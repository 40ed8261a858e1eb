"""Whether the workers of a block fit into memory together."""

from __future__ import annotations

import math
from collections.abc import Sequence

from impls.definition import Model

_MIB = 2**20


def memory_shortfall(needs_mib: Sequence[int], available_bytes: int) -> str | None:
    """Why workers that need ``needs_mib`` at once don't fit, in one line; nothing if they do.

    All contenders of a block are alive together, so their peaks add up. A machine that swaps
    measures its disk.
    """
    need_bytes = sum(needs_mib) * _MIB
    if need_bytes <= available_bytes:
        return None
    count = len(needs_mib)
    workers = "1 worker needs" if count == 1 else f"{count} workers, alive together, need"
    return (
        f"Not enough memory: {workers} {_gib(need_bytes)}, {_gib(available_bytes)} is free: "
        "close other programs, or compare fewer at once with -f, --mode or --no-aa"
    )


def memory_beyond_lenet_mib(model: Model, batch_size: int) -> int:
    """How much more than LeNet's a worker of ``model`` is expected to need, by a rule of thumb.

    Weights, their gradients and one copy of both while they are loaded; every layer's outputs and
    the gradients by them. What LeNet itself needs by this rule is less than a few MiB.
    """
    parameters = sum(math.prod(shape) for shape in model.weight_shapes().values())
    values = sum(math.prod(step.output_shape) for step in model.elementary_steps())
    return (4 * parameters + 2 * batch_size * values) * 4 // _MIB


def _gib(count_bytes: int) -> str:
    return f"{count_bytes / 2**30:.1f} GiB"
