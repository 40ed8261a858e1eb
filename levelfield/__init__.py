"""Level Field: which framework is faster, and how sure that is.

``main`` is the command. All else is loaded when it is asked for, so that importing this takes no
time; and none of it could fail before the command has taken its process over.
"""

from levelfield.process import main

__all__ = ["main"]
