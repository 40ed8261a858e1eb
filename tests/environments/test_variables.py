from __future__ import annotations

import pytest

from harness.environments.variables import ALLOCATOR, VARIABLES, worker_environment
from harness.errors import UsageError
from harness.paths import user_cache

BASE = {
    "PATH": "/usr/bin",
    "HOME": "/home/someone",
    "USER": "someone",
    "TMPDIR": "/scratch",
    "TZ": "UTC",
    "LANG": "de_DE.UTF-8",
    "OMP_NUM_THREADS": "64",
    "LD_LIBRARY_PATH": "/opt/lib",
    "LD_PRELOAD": "libother.so",
    "PYTHONPATH": "/somewhere",
    "HTTPS_PROXY": "http://user:secret@proxy",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "OPENBLAS_CORETYPE": "Haswell",
}


def test_matched_workers_get_this_and_nothing_else(make_toy, tmp_path) -> None:
    home = tmp_path / "home"
    assert worker_environment(make_toy(), "matched", 2, "cpu", BASE, home) == {
        "PATH": "/usr/bin",
        "HOME": str(home),
        "USER": "someone",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:"
        "glibc.malloc.trim_threshold=4294967296",
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "BLIS_NUM_THREADS": "2",
        "VECLIB_MAXIMUM_THREADS": "2",
        "OPENBLAS_CORETYPE": "Haswell",
        "CUDA_VISIBLE_DEVICES": "",
    }
    assert home.is_dir()


def test_stock_workers_get_the_same_threads_and_the_usual_allocator(make_toy, tmp_path) -> None:
    assert worker_environment(make_toy(), "stock", 2, "cpu", BASE, tmp_path) == {
        "PATH": "/usr/bin",
        "HOME": str(tmp_path),
        "USER": "someone",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "BLIS_NUM_THREADS": "2",
        "VECLIB_MAXIMUM_THREADS": "2",
        "OPENBLAS_CORETYPE": "Haswell",
        "CUDA_VISIBLE_DEVICES": "",
    }


def test_what_is_not_set_is_not_invented(make_toy, tmp_path) -> None:
    assert worker_environment(make_toy(), "stock", 1, "cpu", {}, tmp_path) == {
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "BLIS_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


@pytest.mark.parametrize("settings", ["matched", "stock"])
def test_an_implementation_adds_its_own_with_the_threads_of_the_cell(
    make_toy, tmp_path, settings
) -> None:
    implementation = make_toy(environment={"TOY_LEVEL": "2", "TOY_NUM_THREADS": "{threads}"})
    chosen = worker_environment(implementation, settings, 4, "cpu", BASE, tmp_path)
    assert chosen["TOY_LEVEL"] == "2"
    assert chosen["TOY_NUM_THREADS"] == chosen["OMP_NUM_THREADS"] == "4"


@pytest.mark.parametrize(
    ("device", "given", "seen"),
    [
        ("gpu", None, "0"),
        ("gpu:3", None, "3"),
        ("gpu", "2,5", "2"),
        ("gpu:1", "2, 5", "5"),
        ("gpu:0", "GPU-8a3f", "GPU-8a3f"),
        ("gpu:0", "1,-1,2", "1"),
    ],
)
def test_a_gpu_worker_sees_one_gpu(make_toy, tmp_path, device, given, seen) -> None:
    base = {} if given is None else {"CUDA_VISIBLE_DEVICES": given}
    chosen = worker_environment(make_toy(), "matched", 2, device, base, tmp_path)
    assert chosen["CUDA_VISIBLE_DEVICES"] == seen
    assert chosen["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


@pytest.mark.parametrize(
    ("device", "given"),
    [
        ("gpu:2", "0,1"),
        ("gpu", ""),
        ("gpu", "-1"),
        ("gpu", "NoDevFiles"),
        # CUDA reads no further than to what names none.
        ("gpu:1", "0,-1,1"),
        ("gpu:x", "0"),
    ],
)
def test_a_gpu_that_cannot_be_seen_is_an_error(make_toy, tmp_path, device, given) -> None:
    with pytest.raises(UsageError, match="--device"):
        worker_environment(
            make_toy(), "matched", 2, device, {"CUDA_VISIBLE_DEVICES": given}, tmp_path
        )


def test_home_is_in_the_users_cache_unless_it_is_given(make_toy) -> None:
    chosen = worker_environment(make_toy(), "matched", 2, "cpu", BASE)
    assert chosen["HOME"] == str(user_cache() / "worker-home")


def test_every_variable_says_why() -> None:
    assert all(variable.why for variable in VARIABLES)
    assert ALLOCATOR in {variable.value for variable in VARIABLES}
