"""``python -m harness``: the same as ``levelfield``."""

from levelfield import main

main()
