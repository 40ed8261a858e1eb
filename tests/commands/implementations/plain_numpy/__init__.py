"""Plain NumPy."""
