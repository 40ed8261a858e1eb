"""Starts workers, interleaves their windows, and turns whatever goes wrong into a record."""
