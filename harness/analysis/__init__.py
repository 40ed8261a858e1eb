"""What the events say: estimates, verdicts, parity, curves.

Pure functions from recorded events to frozen records: no I/O, no clock, no printing, no state.
``verdicts.judge`` is the one that most readers need; ``curves`` has the long trials.
"""
