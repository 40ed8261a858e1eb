from __future__ import annotations

import shutil

import msgspec
import pytest

from harness import paths
from harness.commands.code import code_digest
from harness.spec.implementations import read_implementation


@pytest.fixture
def implementation(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(paths.IMPLS / "gluon", tmp_path / "gluon", ignore=ignored)
    return read_implementation(tmp_path / "gluon")


def test_the_same_code_has_the_same_digest_anywhere(implementation):
    assert code_digest(implementation) == code_digest(read_implementation(paths.IMPLS / "gluon"))


@pytest.mark.parametrize("name", ["adapter.py", "requirements-cpu.txt", "new/file.py"])
def test_what_is_added_or_changed_changes_it(implementation, tmp_path, name):
    before = code_digest(implementation)
    (tmp_path / "gluon" / name).parent.mkdir(exist_ok=True)
    with (tmp_path / "gluon" / name).open("a") as file:
        file.write("# another\n")
    assert code_digest(implementation) != before


def test_what_is_shared_counts_as_its_own(implementation, tmp_path):
    alone = code_digest(implementation)
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").touch()
    toml = tmp_path / "gluon" / "impl.toml"
    toml.write_text('shares = ["common"]\n' + toml.read_text())
    sharing = read_implementation(tmp_path / "gluon")
    before = code_digest(sharing)
    assert before != alone
    (tmp_path / "common" / "models.py").write_text("1")
    assert code_digest(sharing) != before


def test_compiled_files_do_not_count(implementation, tmp_path):
    before = code_digest(implementation)
    (tmp_path / "gluon" / "__pycache__").mkdir()
    (tmp_path / "gluon" / "__pycache__" / "adapter.cpython-311.pyc").write_bytes(b"1")
    assert code_digest(implementation) == before


def test_our_own_part_of_a_worker_and_a_script_count(implementation, tmp_path):
    before = code_digest(implementation)
    tree = tmp_path / "tree"
    shutil.copytree(paths.ROOT / "harness" / "worker", tree / "harness" / "worker")
    (tree / "impls").mkdir()
    for path in paths.IMPLS.glob("*.py"):
        shutil.copy(path, tree / "impls")
    beside = msgspec.structs.replace(implementation, tree=str(tree))
    assert code_digest(beside) == before
    (tree / "harness" / "worker" / "loop.py").write_text("")
    assert code_digest(beside) != before
    script = tmp_path / "script.py"
    script.write_text("1")
    assert code_digest(msgspec.structs.replace(implementation, script=str(script))) != before
