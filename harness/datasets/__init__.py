"""Datasets, found and verified, and what is drawn from a seed: batch order and initial weights.

``arrays`` and ``order`` are read inside the frameworks' environments too and need NumPy alone.
"""
