"""Which environment variables are matched, and so are no implementation's to set."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

THREADS = "{threads}"
"""In the value of a variable: the number of threads of the cell."""
HOME = "{home}"
"""Likewise: the folder that is the home of all workers, where what compilers keep stays."""

MATCHED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("threads", ("OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "BLIS_*", "VECLIB_*")),
    ("the allocator", ("GLIBC_TUNABLES", "MALLOC_*")),
    ("the libraries that are loaded", ("LD_*",)),
    ("the interpreter", ("PYTHON*",)),
    ("the GPU", ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")),
    ("the surroundings", ("PATH", "HOME", "USER", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*")),
)
"""What is the same for all contenders, and the names (as patterns) that would change it."""

POOL_SIZES = "*NUM*THREADS"
"""What libraries call the size of a thread pool of their own."""


def refusal(variables: Mapping[str, str]) -> str:
    """Why an implementation may not set one of ``variables``; empty where it may set all."""
    for name, value in variables.items():
        for what, patterns in MATCHED:
            if any(fnmatchcase(name.upper(), pattern) for pattern in patterns):
                return (
                    f"{name} is {value!r}, expected it not to be set: the suite keeps {what} the "
                    "same for all contenders; take it out"
                )
        if fnmatchcase(name.upper(), POOL_SIZES) and value != THREADS:
            return (
                f"{name} is {value!r}, expected {THREADS!r}, the number that all contenders get: "
                "write that"
            )
    return ""


def filled_in(variables: Mapping[str, str], threads: int, home: Path) -> dict[str, str]:
    """``variables`` with the number of threads, and the worker's home, where values ask for it."""
    return {
        name: value.replace(THREADS, str(threads)).replace(HOME, str(home))
        for name, value in variables.items()
    }
