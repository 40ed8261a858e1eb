"""Level Field: which framework is faster, and how sure that is.

``main`` is the command; the rest is the Python interface, see docs/notebook.md. That is loaded when
it is asked for: importing this takes no time, and nothing of it can fail before the command has
taken its process over.
"""

from levelfield.process import main

TYPE_CHECKING = False
if TYPE_CHECKING:
    from levelfield.interface import (
        StoredRun,
        plot_accuracy,
        plot_distribution,
        plot_rates,
        plot_ratios,
        read_history,
        read_run,
    )

    LevelfieldError: type[Exception]
    """What ``levelfield`` raises where a user can mend it; its text is one line."""
    __version__: str

__all__ = [
    "LevelfieldError",
    "StoredRun",
    "__version__",
    "main",
    "plot_accuracy",
    "plot_distribution",
    "plot_rates",
    "plot_ratios",
    "read_history",
    "read_run",
]
_ELSEWHERE = {"LevelfieldError": "harness.errors", "__version__": "harness"}


if not TYPE_CHECKING:  # else every name would do for those who check types

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        from levelfield.within import within

        with within():
            return getattr(import_module(_ELSEWHERE.get(name, "levelfield.interface")), name)
