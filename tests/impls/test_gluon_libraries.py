"""NVIDIA's libraries that MXNet's GPU build links to, in its real environment; no GPU is needed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness import paths
from harness.environments.collection import Environments
from harness.environments.records import SyncedEnvironment
from harness.spec.implementations import read_implementation
from impls.gluon.libraries import NAMES, load_nvidia_libraries

DRIVER = "libcuda.so.1"
"""What comes with NVIDIA's driver, and from nowhere else."""

IN_THE_PROCESS = """
import json
from impls.gluon.libraries import load_nvidia_libraries
given = [str(path) for path in load_nvidia_libraries()]
mapped = {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if "/" in line}
print(json.dumps({"given": given, "mapped": sorted(mapped)}))
"""

LOADED = """
import ctypes, json, sys
try:
    ctypes.CDLL(sys.argv[1])
except OSError as error:
    print(json.dumps(str(error).split(":")[0]))
else:
    print(json.dumps("loaded"))
"""

WITH_A_STAND_IN = """
import ctypes, json, sys
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
import impls.gluon.adapter
import mxnet as mx
found = mx.nd.ones((2, 2)).asnumpy().tolist()
print(json.dumps([mx.runtime.Features().is_enabled("CUDA"), mx.context.num_gpus(), found]))
"""


@pytest.fixture(scope="module")
def environment() -> SyncedEnvironment:
    return Environments().sync(read_implementation(paths.IMPLS / "gluon"), "gpu")


def answer(environment: SyncedEnvironment, program: str, *arguments: str) -> object:
    done = subprocess.run(
        [environment.python, "-c", program, *arguments],
        cwd=paths.ROOT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def mxnet_library(environment: SyncedEnvironment) -> Path:
    [path] = Path(environment.folder).glob("lib/python*/site-packages/mxnet/libmxnet.so")
    return path


def needed(path: Path) -> set[str]:
    """Names of the libraries that the ELF file at ``path`` is linked to."""
    with path.open("rb") as file:
        dynamic = ELFFile(file).get_section_by_name(".dynamic")
        return {tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"}


@pytest.mark.frameworks
@pytest.mark.slow
def test_the_list_is_the_one_that_the_library_itself_holds(environment) -> None:
    of_nvidia = {
        name
        for name in needed(mxnet_library(environment))
        if name.startswith(("libcu", "libnv", "libnccl"))
    }
    assert of_nvidia - {DRIVER} == set(NAMES)


@pytest.mark.frameworks
@pytest.mark.slow
def test_every_library_but_the_drivers_is_found(environment) -> None:
    library = mxnet_library(environment)
    found = answer(environment, IN_THE_PROCESS)
    assert {Path(path).name for path in found["given"]} == set(NAMES)
    in_environment = [path for path in found["given"] if path.startswith(environment.folder)]
    assert len(in_environment) == len(found["given"]) == len(NAMES)
    there = {Path(path).name for path in found["mapped"]}
    beside = {path.name for path in library.parent.iterdir()}
    for name in needed(library) - {DRIVER} - there - beside:
        assert answer(environment, LOADED, name) == "loaded", name


@pytest.mark.frameworks
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the driver's stand-in")
def test_with_a_stand_in_for_the_driver_mxnet_loads_and_sees_no_gpu(environment, tmp_path) -> None:
    """The loader itself resolves everything; every call of the stand-in says: no GPU."""
    names = _driver_calls(mxnet_library(environment))
    assert names
    source = tmp_path / "cuda.c"
    source.write_text("".join(f"int {name}(void) {{ return 100; }}\n" for name in names))
    stand_in = tmp_path / DRIVER
    command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{DRIVER}", "-o", str(stand_in), str(source)]
    subprocess.run(command, check=True)
    has_cuda, gpus, ones = answer(environment, WITH_A_STAND_IN, str(stand_in))
    assert (has_cuda, gpus, ones) == (True, 0, [[1.0, 1.0], [1.0, 1.0]])


def _driver_calls(path: Path) -> list[str]:
    """The driver's functions (``cuInit``, not ``cudaMalloc``) that the library calls."""
    with path.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".dynsym")
        return [
            symbol.name
            for symbol in symbols.iter_symbols()
            if symbol.entry.st_shndx == "SHN_UNDEF"
            and symbol.name.startswith("cu")
            and symbol.name[2:3].isupper()
        ]


def test_without_nvidias_wheels_nothing_is_loaded(tmp_path) -> None:
    assert load_nvidia_libraries(tmp_path) == []


def test_a_library_that_is_damaged_is_named(tmp_path) -> None:
    folder = tmp_path / "nvidia" / "cuda_runtime" / "lib"
    folder.mkdir(parents=True)
    (folder / NAMES[0]).write_bytes(b"not a library")
    with pytest.raises(OSError, match=NAMES[0]):
        load_nvidia_libraries(tmp_path)
