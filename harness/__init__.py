"""Runs, measures, judges and reports. Never imports a framework: workers do, in their own environments."""

__version__ = "0.1.0"
