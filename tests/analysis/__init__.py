"""Checks of ``harness.analysis``: pure functions, so that events go in and records come out."""
