"""``python -m harness``: the same as ``levelfield``."""

from harness.cli import main

main()
