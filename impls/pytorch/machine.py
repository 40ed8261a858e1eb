"""What PyTorch finds on this machine, devices and compilers, and how it is set there."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch


def require_compiler(device: Any) -> None:
    """The compiler and the Python headers, which torch.compile's kernels need, are there.

    On a CPU the kernels are C++; on a GPU Triton makes them without a compiler, and needs one for C
    to make what launches them.
    https://docs.pytorch.org/docs/stable/torch.compiler_faq.html
    https://github.com/triton-lang/triton/blob/main/python/triton/runtime/build.py
    """
    if device.type == "cpu":
        language, package = "C++", "g++"
        compilers = [os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")]
    else:
        language, package = "C", "gcc"
        compilers = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
    if not any(map(shutil.which, compilers)):
        raise ValueError(
            f"No {language} compiler for pytorch in mode compiled "
            f"(found no {' or '.join(compilers)}): install {package}, or use --mode eager"
        )
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        raise ValueError(
            f"No Python headers for pytorch in mode compiled (found no {header}): "
            f"install python{sys.version_info[0]}.{sys.version_info[1]}-dev, or use --mode eager"
        )


def device_named(name: str) -> Any:
    """``cpu``, ``gpu`` or ``gpu:N`` as a ``torch.device`` that exists."""
    kind, _, index = name.partition(":")
    if name == "cpu":
        return torch.device("cpu")
    if kind != "gpu" or not (index or "0").isdigit():
        raise ValueError(f"No pytorch device {name!r}: expected cpu, gpu or gpu:N")
    if int(index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"No device {name!r}: PyTorch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA GPUs; use --device cpu, or check the driver"
        )
    return torch.device("cuda", int(index or 0))


def set_matched(threads: int) -> None:
    """PyTorch computes with ``threads`` threads, and in full float32 everywhere."""
    torch.set_num_threads(threads)
    # cuDNN's convolutions would use TF32 unasked.
    # https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # cuDNN tries its algorithms at a shape's first step, as the other frameworks do by default.
    torch.backends.cudnn.benchmark = True


def places(tensors: Iterable[Any]) -> str:
    """``cpu``, ``gpu:0``: where they are, several places joined by commas."""
    return ", ".join(sorted({str(tensor.device).replace("cuda", "gpu") for tensor in tensors}))


def peak_memory_bytes(device: Any) -> int | None:
    """Most that tensors took of the GPU at once, without what the allocator keeps in reserve.

    https://docs.pytorch.org/docs/stable/generated/torch.cuda.memory.max_memory_allocated.html
    """
    return None if device.type == "cpu" else int(torch.cuda.max_memory_allocated(device))
