"""NVIDIA's libraries for MXNet's GPU build, found without ``LD_LIBRARY_PATH``.

``libmxnet.so`` of ``mxnet-cu117`` names them, but its wheel does not hold them, and its search path
is its own folder alone. They come from the ``nvidia-*-cu11`` wheels, below ``nvidia/`` beside it.
Once a library is in the process, the loader takes it for whatever asks for its name:
https://man7.org/linux/man-pages/man8/ld.so.8.html
"""

from __future__ import annotations

import ctypes
import sysconfig
from pathlib import Path

NAMES = (
    "libcudart.so.11.0",
    "libcublas.so.11",
    "libcufft.so.10",
    "libcurand.so.10",
    "libcusparse.so.11",
    "libcusolver.so.11",
    "libnvrtc.so.11.2",
    "libnvToolsExt.so.1",
    "libnccl.so.2",
    "libcudnn.so.8",
)
"""All of NVIDIA's that ``libmxnet.so`` asks for, but the driver's own ``libcuda.so.1``."""


def load_nvidia_libraries(site_packages: Path | None = None) -> list[Path]:
    """The libraries of ``NAMES`` that this environment holds are in the process: these.

    None in an environment for the CPU. Raises ``OSError``: one of them can't be loaded.

    ``site_packages``: where wheels are installed; by default the running interpreter's.
    """
    folder = site_packages or Path(sysconfig.get_path("platlib"))
    found = [path for name in NAMES for path in sorted(folder.glob(f"nvidia/*/lib/{name}"))]
    for path in found:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    return found
