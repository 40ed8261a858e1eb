from __future__ import annotations

import re

import pytest
import tomllib

from harness import paths
from harness.errors import UsageError
from harness.spec.implementations import (
    NOT_IN_FILES,
    Float64,
    GpuLimits,
    Implementation,
    read_implementation,
    read_implementations,
)

GPU = """
[gpu]
cuda = "13.0"
least_driver = "580"
machine_code = ["9.0"]
memory_mib = 900
"""
REFERENCE = paths.IMPLS / "reference" / "impl.toml"


@pytest.mark.parametrize("field", [*NOT_IN_FILES, "titel"])
def test_what_does_not_belong_into_the_file_is_refused(tmp_path, field):
    (tmp_path / "impl.toml").write_text(f'{field} = "x"\n' + REFERENCE.read_text())
    with pytest.raises(UsageError, match=f"unknown field `{field}`"):
        read_implementation(tmp_path)


def test_the_documentation_shows_every_field_and_what_it_shows_can_be_read(tmp_path):
    page = (paths.ROOT / "docs" / "add-a-framework.md").read_text(encoding="utf-8")
    [text] = re.findall(r"```toml\n(title = .*?)```", page, re.DOTALL)
    (tmp_path / "impl.toml").write_text(text)
    shown = read_implementation(tmp_path)
    table = tomllib.loads(text)
    assert set(table) == set(Implementation.__struct_fields__) - {*NOT_IN_FILES, "role"}
    assert set(table["gpu"]) == set(GpuLimits.__struct_fields__)
    assert set(table["float64"]) == set(Float64.__struct_fields__)
    shortest = Implementation(
        name="x", folder="", title="x", package="x", python=("3.11",), default_mode="x",
        modes={"x": ""}, memory_mib=1,
    )  # fmt: skip
    for field in ("adam_formula", "momentum_formula", "variance_formula", "inputs"):
        assert getattr(shown, field) == getattr(shortest, field), "as where the line is left out"


WRONG = {
    "title": ["1", '""', '"a\\nb"', '"\\u001b[31m"', f'"{"x" * 81}"'],
    "package": ["1", '""', '"a b"', '"../a"', '"a\\n"', '"-e"'],
    "role": ['"judge"'],
    "python": [
        '["three"]',
        "[]",
        '"3.11"',
        "[3.11]",
        '["3"]',
        '["3.11.2"]',
        '["2.7"]',
        '["3.11\\n"]',
    ],
    "shares": ['"reference"', '["nowhere"]', '["../reference"]', '["adapter"]', "[1]"],
    "default_mode": ['"none"', "1", '"a/b"'],
    "adam_formula": ['"mine"'],
    "momentum_formula": ["true"],
    "variance_formula": ['""'],
    "inputs": ["[]", '["files"]', '"resident"'],
    "float64": [
        "{ modes = 3 }",
        '{ modes = ["other"] }',
        '{ modes = ["eager"], parameters = 1 }',
    ],
    "loader_processes": ["1", '"yes"'],
    "memory_mib": ["-1", "0", "1.5", '"100"', "99999999999999999999", "1048577", "true", "inf"],
    "modes": ["{}", '{"a b" = "x"}', '{"a/b" = "x"}', "{eager = 1}", '{"" = "x"}', "[]"],
    "environment": ['{"A=B" = "x"}', '{"" = "x"}', '{A = "\\u0000"}', "{A = 1}", '["A"]'],
}
WRONG_OF_A_GPU = {
    "package": ['"a b"'],
    "cuda": ["13.0", '"13"', '"thirteen"', f'"{"9" * 5000}.0"'],
    "least_driver": ['"new"', "580", '""', f'"{"9" * 5000}"'],
    "machine_code": ["[]", '["9"]', '["9.0.1"]', '"9.0"'],
    "ptx": ['"x"', f'"{"9" * 5000}.0"'],
    "least_compute_capability": ["9.0"],
    "memory_mib": ["-1", "0", "99999999999999999999"],
    "variance_formula": ['"none"'],
    "environment": ['{"A B" = "x"}', '{A = "\\u0000"}'],
    "default_mode": ["3", '"other"'],
}


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        (table, field, value)
        for table, wrong in (("", WRONG), ("gpu", WRONG_OF_A_GPU))
        for field, values in wrong.items()
        for value in values
    ],
)
def test_every_field_is_held_to_what_makes_sense(tmp_path, table, field, value):
    parts = {"": REFERENCE.read_text(), "gpu": GPU}
    kept = [line for line in parts[table].splitlines() if not line.startswith(f"{field} =")]
    if field == "modes":
        kept = kept[: kept.index("[modes]")]
    place = kept.index("[gpu]") + 1 if table else 0
    parts[table] = "\n".join([*kept[:place], f"{field} = {value}", *kept[place:]])
    (tmp_path / "impl.toml").write_text("\n".join(parts.values()))
    with pytest.raises(UsageError) as caught:
        read_implementation(tmp_path)
    assert field in str(caught.value) and "impl.toml" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_no_field_is_forgotten():
    """A new one has a row of wrong values too."""
    assert set(WRONG) == set(Implementation.__struct_fields__) - {*NOT_IN_FILES, "gpu"}
    assert set(WRONG_OF_A_GPU) == set(GpuLimits.__struct_fields__)


def test_what_is_shared_is_the_folder_beside_or_ours(tmp_path):
    for name in ("mine", "common"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    toml = tmp_path / "mine" / "impl.toml"
    toml.write_text('shares = ["common", "reference"]\n' + REFERENCE.read_text())
    mine = read_implementation(tmp_path / "mine")
    assert mine.shared_folders == (str(tmp_path / "common"), str(paths.IMPLS / "reference"))
    # As in another revision's tree, which has its own.
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "__init__.py").touch()
    assert mine.shared_folders == (str(tmp_path / "common"), str(tmp_path / "reference"))


@pytest.mark.parametrize("name", ["a b", "a@1", "a~b", "ä", "-f"])
def test_a_folder_s_name_that_would_be_misread_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "impl.toml").write_text(REFERENCE.read_text())
    with pytest.raises(UsageError, match="name"):
        read_implementation(tmp_path / name)


def test_name_and_folder_are_where_the_file_is(tmp_path):
    (tmp_path / "impl.toml").write_text(REFERENCE.read_text())
    found = read_implementation(tmp_path)
    assert (found.name, found.folder) == (tmp_path.name, str(tmp_path.resolve()))


def limits(**changes):
    fields = {
        "cuda": "12.5",
        "least_driver": "525.60.13",
        "machine_code": ("6.0", "7.0", "8.0", "8.6"),
        "memory_mib": 100,
    }
    return GpuLimits(**{**fields, **changes})


@pytest.mark.parametrize(
    ("compute_capability", "runs"),
    [
        ((5, 2), False),
        ((6, 0), True),
        ((6, 1), True),
        ((7, 5), True),
        ((8, 0), True),
        ((8, 9), True),
        ((9, 0), False),
        ((12, 0), False),
    ],
)
def test_machine_code_serves_later_gpus_of_its_own_major_version(compute_capability, runs):
    assert limits().has_code_for(compute_capability) == runs


def test_ptx_serves_every_later_gpu():
    with_ptx = limits(ptx="8.6")
    assert with_ptx.has_code_for((9, 0))
    assert with_ptx.has_code_for((12, 1))
    assert not with_ptx.has_code_for((5, 2))


def test_a_library_may_ask_for_more():
    held_back = limits(least_compute_capability="7.5", ptx="8.6")
    runs = {each: held_back.has_code_for(each) for each in ((7, 0), (7, 5), (8, 0), (10, 0))}
    assert runs == {(7, 0): False, (7, 5): True, (8, 0): True, (10, 0): True}


GPU = """
[gpu]
cuda = "12.5"
least_driver = "525.60.13"
machine_code = ["8.0"]
memory_mib = 100
"""


def test_what_a_gpu_build_needs_is_read(tmp_path):
    (tmp_path / "impl.toml").write_text(REFERENCE.read_text() + GPU + 'package = "numpy-gpu"\n')
    found = read_implementation(tmp_path)
    assert found.gpu == limits(machine_code=("8.0",), package="numpy-gpu")
    assert found.distribution("cpu") == "numpy"
    assert found.distribution("gpu:1") == "numpy-gpu"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ('machine_code = ["sm_80"]', "machine_code"),
        ('cuda = "12"', "cuda"),
        ('least_driver = "R525"', "least_driver"),
        ('ptx = "compute_90"', "ptx"),
    ],
)
def test_a_wrong_limit_is_refused_by_name(tmp_path, wrong, field):
    lines = [line for line in GPU.splitlines() if not line.startswith(f"{field} ")]
    text = "\n".join([REFERENCE.read_text(), *lines, wrong])
    (tmp_path / "impl.toml").write_text(text)
    with pytest.raises(UsageError, match=rf"gpu\.{field}"):
        read_implementation(tmp_path)


def test_every_framework_says_what_it_needs_of_a_gpu():
    for one in read_implementations(paths.IMPLS).values():
        if one.role == "framework":
            assert one.gpu is not None
            assert one.requirements("gpu").exists()


def test_what_holds_on_a_gpu_alone_holds_on_a_gpu_alone(tmp_path):
    text = 'environment = { A = "1", B = "1" }\n' + REFERENCE.read_text() + GPU
    own = 'variance_formula = "unbiased"\n[gpu.environment]\nB = "2"\nC = "2"\n'
    (tmp_path / "impl.toml").write_text(text + own)
    found = read_implementation(tmp_path)
    assert found.environment_on("cpu") == {"A": "1", "B": "1"}
    assert found.environment_on("gpu:1") == {"A": "1", "B": "2", "C": "2"}
    assert found.variance_formula_on("cpu") == "biased"
    assert found.variance_formula_on("gpu") == "unbiased"


def test_a_gpu_that_changes_nothing_changes_nothing(tmp_path):
    (tmp_path / "impl.toml").write_text(REFERENCE.read_text() + GPU)
    found = read_implementation(tmp_path)
    assert found.environment_on("gpu") == found.environment_on("cpu") == {}
    assert found.variance_formula_on("gpu") == found.variance_formula_on("cpu") == "biased"


FLOAT64 = """
[float64]
modes = ["eager"]
statistics = 1e-6
"""


def test_what_float64_keeps_in_float32_is_read_and_everything_else_is_held_tightly(tmp_path):
    text = REFERENCE.read_text().partition("[float64]")[0]
    (tmp_path / "impl.toml").write_text(text)
    assert read_implementation(tmp_path).float64 is None
    (tmp_path / "impl.toml").write_text(text + FLOAT64)
    assert read_implementation(tmp_path).float64 == Float64(modes=("eager",), statistics=1e-6)
    assert Float64(modes=()).parameters == Float64(modes=()).statistics == 1e-9


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ('modes = ["eager", "fast"]', "float64.modes has 'fast', expected only eager, float32"),
        ('modes = ["eager"]\nparameters = 1e-5', "float64.parameters"),
        ('modes = ["eager"]\nstatistics = 0.0', "float64.statistics"),
    ],
)
def test_a_wrong_table_of_float64_is_refused_by_name(tmp_path, wrong, field):
    text = REFERENCE.read_text().partition("[float64]")[0]
    (tmp_path / "impl.toml").write_text(f"{text}[float64]\n{wrong}\n")
    with pytest.raises(UsageError, match=field):
        read_implementation(tmp_path)
