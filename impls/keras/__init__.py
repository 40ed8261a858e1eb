"""Keras with TensorFlow."""
