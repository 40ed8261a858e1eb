"""Append-only records: ``run.json`` and ``trials.jsonl`` in a folder of the run's own."""
