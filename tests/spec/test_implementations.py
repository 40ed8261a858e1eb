from __future__ import annotations

import pytest

from harness import paths
from harness.errors import UsageError
from harness.spec.implementations import NOT_IN_FILES, read_implementation

REFERENCE = paths.IMPLS / "reference" / "impl.toml"


@pytest.mark.parametrize("field", [*NOT_IN_FILES, "titel"])
def test_what_does_not_belong_into_the_file_is_refused(tmp_path, field):
    (tmp_path / "impl.toml").write_text(f'{field} = "x"\n' + REFERENCE.read_text())
    with pytest.raises(UsageError, match=f"unknown field `{field}`"):
        read_implementation(tmp_path)


def test_name_and_folder_are_where_the_file_is(tmp_path):
    (tmp_path / "impl.toml").write_text(REFERENCE.read_text())
    found = read_implementation(tmp_path)
    assert (found.name, found.folder) == (tmp_path.name, str(tmp_path.resolve()))
