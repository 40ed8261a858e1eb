"""Keras with JAX."""
