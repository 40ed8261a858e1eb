"""Runs, measures, judges, reports. Never imports a framework: workers do, each in its own place."""

__version__ = "0.1.0"
