"""Sums that stay on the device: one of losses, as exact as float64 would keep it, and hits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def zeros(parameters: Any) -> tuple[Any, Any]:
    """The sums at their beginning, the loss in the type of ``parameters``; see ``added``."""
    dtype = jax.tree.leaves(parameters)[0].dtype
    return jnp.zeros(2, dtype), jnp.zeros((), jnp.int32)


def added(total: Any, value: Any) -> Any:
    """``total`` (2,) and ``value``: a sum, and what rounding has taken from it so far.

    JAX has no float64 unless all of a process may have it, and a float32 sum over an epoch would be
    off in the sixth digit. Knuth, The Art of Computer Programming, volume 2, section 4.2.2.
    """
    before, lost = total
    after = before + value
    taken = after - before
    return jnp.stack([after, lost + ((before - (after - taken)) + (value - taken))])


def zero_like(array: Any) -> Any:
    """Placed as ``array`` is: JAX compiles anew for what is placed otherwise."""
    return jax.device_put(np.zeros(array.shape, array.dtype), array.sharding)
