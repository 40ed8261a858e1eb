"""How far values scatter, of which a few are known.

Equal values have a standard deviation of 0. Taken at its word it makes every p 0 and every interval
a point, as if three equal numbers proved that no other is possible. What they show is that the
spread is smaller than what such a value can tell apart. So an SD is never taken to be below that of
a rounding to the step q between two values, q ÷ √12 (JCGM 100:2008, the "GUM", F.2.2.1).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LEAST_SD_OF_ACCURACY = 1 / 4_000 / math.sqrt(12)
"""A step is one image of the smallest test set that there is."""
LEAST_SD_OF_ACCURACY_DIFFERENCE = math.sqrt(2) * LEAST_SD_OF_ACCURACY
LEAST_SD_OF_LOG_RATE = 1e-6 / math.sqrt(12)
"""A step is a microsecond in a window of a second."""


def spread(values: NDArray[np.float64], least: float) -> float:
    """The standard deviation of two or more values, n − 1 in the denominator; ``least`` or more."""
    return max(float(values.std(ddof=1)), least)
