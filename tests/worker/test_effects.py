"""Settings are believed only where they are seen at work: here real ones, which really fail."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harness import paths
from harness.environments.variables import ALLOCATOR, VARIABLES
from harness.worker.effects import OBSERVED, UNSEEN, effects

LOOK = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import numpy
from harness.worker.effects import effects
before = dict(os.environ)
json.dump(effects(before), sys.stdout)
"""
MEMORY = tuple(f"glibc.malloc.{name}" for name in ("mmap_threshold", "trim_threshold", "hugetlb"))


def seen(**variables: str) -> dict[str, str]:
    """What a process of its own sees of ``variables``."""
    command = [sys.executable, "-c", LOOK, str(paths.ROOT)]
    done = subprocess.run(command, env=variables, check=True, capture_output=True, timeout=60)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_every_variable_is_looked_for_or_it_is_said_why_not() -> None:
    names = {variable.name for variable in VARIABLES} - {"GLIBC_TUNABLES"}
    names |= {part.partition("=")[0] for part in ALLOCATOR.split(":")}
    names.add("TMPDIR")  # each worker has its own
    assert names == OBSERVED.keys() | UNSEEN.keys()
    assert not OBSERVED.keys() & UNSEEN.keys()


def test_the_allocator_of_matched_workers_is_seen_at_work() -> None:
    found = seen(GLIBC_TUNABLES=ALLOCATOR)
    assert {name: found.get(name, "") for name in MEMORY} == dict.fromkeys(MEMORY, "")
    assert "glibc.malloc.mmap_threshold" in found


def test_what_the_allocator_refuses_is_said() -> None:
    refused = ":".join(f"{name}=no-number" for name in MEMORY)
    found = seen(GLIBC_TUNABLES=refused)
    assert found["glibc.malloc.mmap_threshold"] == (
        "large pieces of memory are still mapped one by one"
    )
    # Of memory that is mapped one by one nothing can be kept, whatever was asked.
    assert "glibc.malloc.trim_threshold" not in found


def test_a_threshold_that_gives_memory_back_is_said() -> None:
    given = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=1"
    assert seen(GLIBC_TUNABLES=given) == {
        "glibc.malloc.mmap_threshold": "",
        "glibc.malloc.trim_threshold": "freed memory still goes back to the kernel",
    }


def test_what_it_looks_at_leaves_no_memory_behind() -> None:
    script = LOOK + (
        "\nimport resource\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "effects(dict(os.environ))\n"
        "print()\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    command = [sys.executable, "-c", script, str(paths.ROOT)]
    variables = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296"}
    done = subprocess.run(command, env=variables, check=True, capture_output=True, timeout=60)
    # All of it would be 24,576 pages.
    assert int(done.stdout.split()[-1]) < 1_000


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("LC_ALL", "C.UTF-8", ""),
        ("LC_ALL", "xx_XX.UTF-8", "the locale is C"),
        ("TMPDIR", "/dev/null/nowhere", "temporary files go to "),
        ("OPENBLAS_NUM_THREADS", "1", ""),
        ("OPENBLAS_NUM_THREADS", "many", "openblas has "),
        ("OPENBLAS_CORETYPE", "Abacus", "OpenBLAS computes for "),
    ],
)
def test_other_settings_are_held_against_what_is_seen(name: str, value: str, instead: str) -> None:
    (found,) = seen(**{name: value}).items()
    assert found[0] == name
    assert found[1].startswith(instead)
    assert bool(found[1]) == bool(instead)


def test_what_can_not_be_seen_is_left_out() -> None:
    assert effects({"TZ": "UTC", "SOME_FRAMEWORKS_OWN": "1", "BLIS_NUM_THREADS": "2"}) == {}
