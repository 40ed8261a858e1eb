from __future__ import annotations

from pathlib import Path

import pytest

from harness import paths
from harness.environments.variables import VARIABLES
from harness.errors import UsageError
from harness.spec.implementations import read_implementation
from harness.spec.matched import filled_in, refusal

REFERENCE = (paths.IMPLS / "reference" / "impl.toml").read_text()
GPU = """
[gpu]
cuda = "12.5"
least_driver = "525.60.13"
machine_code = ["8.0"]
memory_mib = 100
"""


@pytest.mark.parametrize("name", [variable.name for variable in VARIABLES])
def test_what_the_suite_sets_or_passes_on_is_matched(name):
    assert name in refusal({name: "1"})


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("OMP_THREAD_LIMIT", "threads"),
        ("omp_num_threads", "threads"),
        ("GOMP_CPU_AFFINITY", "threads"),
        ("KMP_AFFINITY", "threads"),
        ("MALLOC_ARENA_MAX", "allocator"),
        ("LD_PRELOAD", "libraries"),
        ("PYTHONHASHSEED", "interpreter"),
        ("LANG", "surroundings"),
    ],
)
def test_what_would_change_what_is_matched_is_refused(name, what):
    assert what in refusal({"HARMLESS": "1", name: "2"})


def test_a_pool_of_the_frameworks_own_gets_the_threads_of_the_cell():
    assert refusal({"TOY_LEVEL": "3", "TOY_POOL": "8"}) == ""
    assert "'4', expected '{threads}'" in refusal({"TOY_NUM_THREADS": "4"})
    assert "expected '{threads}'" in refusal({"TF_NUM_INTRAOP_THREADS": "{threads}0"})
    assert refusal({"TOY_NUM_THREADS": "{threads}"}) == ""


def test_the_number_of_threads_is_filled_in_and_other_brackets_stay():
    given = {"A": "{threads}", "B": "--threads={threads} --own={own}", "C": "{}", "D": "{home}/x"}
    filled = {"A": "3", "B": "--threads=3 --own={own}", "C": "{}", "D": "/h/x"}
    assert filled_in(given, 3, Path("/h")) == filled


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (REFERENCE + '[environment]\nOMP_NUM_THREADS = "8"\n', ""),
        (REFERENCE + GPU + '[gpu.environment]\nOMP_NUM_THREADS = "8"\n', "gpu."),
    ],
)
def test_a_file_that_sets_it_is_named_with_the_variable(tmp_path, text, place):
    path = tmp_path / "impl.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        read_implementation(tmp_path)
    said = str(raised.value)
    assert said.startswith(f"{path}: {place}environment: OMP_NUM_THREADS is '8', expected ")
    assert "\n" not in said
