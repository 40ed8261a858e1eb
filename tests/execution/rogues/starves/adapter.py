"""Asks for more memory than any machine has."""

import numpy as np


def create(setup):
    return np.ones((1 << 60,), np.uint8)
