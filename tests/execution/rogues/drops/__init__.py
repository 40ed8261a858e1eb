"""Drops otherwise than it should."""
