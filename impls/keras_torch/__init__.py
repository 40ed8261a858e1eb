"""Keras with PyTorch."""
