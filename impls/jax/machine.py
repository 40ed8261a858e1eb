"""JAX's devices by our names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax


def device_named(name: str) -> Any:
    """``cpu``, ``gpu`` or ``gpu:N`` as a JAX device that exists.

    Raises ``ValueError``: it doesn't.
    """
    kind, _, index = name.partition(":")
    if name == "cpu":
        return jax.devices("cpu")[0]
    if kind != "gpu" or not (index or "0").isdigit():
        raise ValueError(f"No jax device {name!r}: expected cpu, gpu or gpu:N")
    try:
        gpus = jax.devices("gpu")
    except RuntimeError:
        gpus = []
    if int(index or 0) >= len(gpus):
        raise ValueError(
            f"No device {name!r}: JAX {jax.__version__} sees {len(gpus)} GPUs; "
            "use --device cpu, or install jax[cuda13]"
        )
    return gpus[int(index or 0)]


def places(shardings: Iterable[Any]) -> str:
    """``cpu``, ``gpu:0``: where they are, several places joined by commas."""
    devices = {device for sharding in shardings for device in sharding.device_set}
    return ", ".join(
        sorted("cpu" if one.platform == "cpu" else f"{one.platform}:{one.id}" for one in devices)
    )


def peak_memory_bytes(device: Any) -> int | None:
    """Most that arrays took of the GPU at once, without what the allocator keeps in reserve.

    https://docs.jax.dev/en/latest/device_memory_profiling.html
    """
    if device.platform == "cpu":
        return None
    return int(device.memory_stats()["peak_bytes_in_use"])


def set_precision(precision: str) -> None:
    """All of the process, and so all of its adapters, compute in ``precision``, in full."""
    # Without it there is no float64.
    jax.config.update("jax_enable_x64", precision == "float64")
    # On a GPU products would be taken in TF32.
    # https://docs.jax.dev/en/latest/_autosummary/jax.default_matmul_precision.html
    jax.config.update("jax_default_matmul_precision", "highest")
