"""Whether what environment variables ask of a worker has taken effect, as seen from inside.

A library that does not know a setting, or refuses its value, says nothing and goes on without it:
an older glibc takes no ``mmap_threshold`` above 32 MiB, and no ``hugetlb`` at all. So settings are
looked for in what they do.
"""

from __future__ import annotations

import ctypes
import locale
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

PROBE_BYTES = 96 * 2**20
"""More than any threshold that glibc comes to by itself: 32 MiB to map, 64 MiB to give back."""
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_AREAS = Path("/proc/self/smaps")

Observe = Callable[[str], "str | None"]
"""Value → nothing where it can't be seen here; empty where it has taken effect; else what was seen
in its place, as a clause."""


def effects(given: Mapping[str, str]) -> dict[str, str]:
    """Setting → what was seen in its place; empty where it has taken effect.

    Of those environment variables in ``given``, and of those of glibc's settings in one of them,
    that can be seen at work in this process. Nothing that is measured later is changed: what is
    allocated for this is not touched.
    """
    found = {}
    _memory.cache_clear()
    for setting, value in _settings(given):
        seen = OBSERVED[setting](value) if setting in OBSERVED else None
        if seen is not None:
            found[setting] = seen
    return found


def _settings(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        if name == "GLIBC_TUNABLES":
            for part in value.split(":"):
                setting, _, its_value = part.partition("=")
                yield setting, its_value
        else:
            yield name, value


class _Memory(NamedTuple):
    """What became of a large piece of memory."""

    mapped: bool
    """Whether the kernel was asked for it alone: then it is fetched anew each time."""
    kept: bool
    """Whether it was still there after it had been freed."""
    huge: bool | None
    """Whether the kernel was asked for huge pages; nothing where it doesn't show that."""


@cache
def _memory() -> _Memory:
    library = ctypes.CDLL(None)
    library.malloc.restype = library.sbrk.restype = ctypes.c_void_p
    library.malloc.argtypes, library.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    library.sbrk.argtypes = [ctypes.c_ssize_t]
    piece = library.malloc(PROBE_BYTES) or 0
    # What is mapped lies above the heap, which ends here.
    mapped = piece > library.sbrk(0)
    huge = _asked_for_huge_pages(piece + PROBE_BYTES // 2)
    library.free(piece)
    kept = not mapped and library.sbrk(0) >= piece + PROBE_BYTES
    return _Memory(mapped, kept, huge)


def _asked_for_huge_pages(address: int) -> bool | None:
    """proc(5): ``hg`` among the flags of the area that holds ``address``."""
    try:
        lines = _AREAS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    inside = False
    for line in lines:
        area = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if area:
            inside = int(area[1], 16) <= address < int(area[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return "hg" in line.split()
    return None


def _mmap_threshold(value: str) -> str | None:
    del value
    return "large pieces of memory are still mapped one by one" if _memory().mapped else ""


def _trim_threshold(value: str) -> str | None:
    del value
    if _memory().mapped:
        return None
    return "" if _memory().kept else "freed memory still goes back to the kernel"


def _huge_pages(value: str) -> str | None:
    del value
    try:
        chosen = re.search(r"\[(\w+)\]", _HUGE_PAGES.read_text(encoding="ascii"))
    except OSError:
        return None
    if chosen is None or _memory().huge is None:
        return None
    if chosen[1] == "never":
        return "the kernel gives no huge pages: they are set to never"
    asked = chosen[1] == "always" or _memory().huge
    return "" if asked else "the allocator does not ask for huge pages"


def _threads(library: str, value: str) -> str | None:
    found = {pool["num_threads"] for pool in _pools(library)}
    if not found:
        return None
    odd = sorted(found - {int(value)}) if value.isdecimal() else sorted(found)
    return f"{library} has {' and '.join(map(str, odd))} threads" if odd else ""


def _core_type(value: str) -> str | None:
    found = {str(pool.get("architecture")) for pool in _pools("openblas")}
    odd = sorted(each for each in found if each.lower() != value.lower())
    return f"OpenBLAS computes for {' and '.join(odd)}" if odd else "" if found else None


def _pools(library: str) -> list[dict[str, Any]]:
    from threadpoolctl import threadpool_info

    return [pool for pool in threadpool_info() if pool["internal_api"] == library]


def _locale(value: str) -> str | None:
    seen = locale.setlocale(locale.LC_CTYPE)
    plain = [each.lower().replace("-", "") for each in (seen, value)]
    return "" if plain[0] == plain[1] else f"the locale is {seen}"


def _temporary(value: str) -> str | None:
    seen = tempfile.gettempdir()
    return "" if Path(seen) == Path(value).absolute() else f"temporary files go to {seen}"


OBSERVED: dict[str, Observe] = {
    "glibc.malloc.mmap_threshold": _mmap_threshold,
    "glibc.malloc.trim_threshold": _trim_threshold,
    "glibc.malloc.hugetlb": _huge_pages,
    "OMP_NUM_THREADS": partial(_threads, "openmp"),
    "MKL_NUM_THREADS": partial(_threads, "mkl"),
    "OPENBLAS_NUM_THREADS": partial(_threads, "openblas"),
    "BLIS_NUM_THREADS": partial(_threads, "blis"),
    "OPENBLAS_CORETYPE": _core_type,
    "LC_ALL": _locale,
    "TMPDIR": _temporary,
}
"""Setting → how it is seen at work."""

UNSEEN = {
    "PATH": "nothing can refuse it",
    "HOME": "nothing can refuse it",
    "USER": "nothing can refuse it",
    "TZ": "no measurement reads it",
    "VECLIB_MAXIMUM_THREADS": "Apple's library shows it nowhere, and none else reads it",
    "OPENBLAS_L2_SIZE": "OpenBLAS shows it nowhere",
    "CUDA_VISIBLE_DEVICES": "seen in the device that the adapter reports, which must be the cell's",
    "CUDA_DEVICE_ORDER": "CUDA shows it nowhere",
}
"""Variable → why it is not looked for. Those of an ``impl.toml`` are not either: what they do is
known to their framework alone."""
