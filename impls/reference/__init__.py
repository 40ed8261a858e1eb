"""The NumPy float64 oracle, and the suite's test double."""
