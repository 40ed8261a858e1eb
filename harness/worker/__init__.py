"""The only code of the harness that runs inside a framework's environment (Python 3.10 to 3.13)."""
