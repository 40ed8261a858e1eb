"""Where a worker computes: its own name for the user's device, and whether it is really there."""

from __future__ import annotations

from harness.execution.process import WorkerError
from harness.spec.cells import Cell
from harness.worker.wire import Ready


def device_inside(device: str) -> str:
    """What a worker calls ``device`` (``cpu``, ``gpu`` or ``gpu:N``): ``cpu`` or ``gpu:0``.

    ``CUDA_VISIBLE_DEVICES`` shows a worker the chosen GPU alone, and CUDA counts what it sees from
    0, whatever number the GPU has outside.
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#env-vars
    """
    return "cpu" if device == "cpu" else "gpu:0"


def require_device(cell: Cell, ready: Ready) -> None:
    """Weights and results of the cell's worker are where the cell is to be measured.

    Adapters from before results could be asked for may be silent about them on a CPU, where a
    worker sees no GPU.

    Raises:
        WorkerError: they are elsewhere, or nobody knows.
    """
    expected = device_inside(cell.device)
    result = ready.result_device
    if ready.device == expected and (result == expected or (not result and expected == "cpu")):
        return
    asked = "" if expected == cell.device else f", as a worker calls {cell.device}"
    advice = (
        f"mend {cell.framework}'s adapter, which must leave GPUs alone here"
        if expected == "cpu"
        else f"see with 'levelfield doctor' what is the matter with {cell.framework} on this GPU, "
        "or use --device cpu"
    )
    raise WorkerError(
        "device",
        f"weights on {ready.device or 'an unknown device'} and results on "
        f"{result or 'an unknown device'}, expected both on {expected}{asked}: {advice}",
    )
