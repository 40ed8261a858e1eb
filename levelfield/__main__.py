"""``python -m levelfield``: the same as ``levelfield``."""

from levelfield import main

main()
