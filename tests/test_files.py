"""Files that anybody could have written, and files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from harness import files
from harness.files import (
    LONGEST_CLAUSE,
    UnreadableFile,
    clause,
    content_of,
    decoded,
    table_of,
    whole,
    whole_folder,
    write_whole,
)


class Small(msgspec.Struct):
    text: str = ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"text": "\xff"}',
        b'{"text": 3}',
        b'{"text": "\\ud800"}',
        b'{"other": ' + b"[" * 100_000,
        b"[" * 100_000,
        b"9" * 5000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_record_is_one_short_line(content):
    with pytest.raises(UnreadableFile) as caught:
        decoded(content, Small)
    assert len(str(caught.value)) <= LONGEST_CLAUSE
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "content", [b"x = ", b"x = '\xff'", b"x = " + b"[" * 100_000, b"x = " + b"9" * 6000]
)
def test_what_is_no_table_is_one_short_line(tmp_path, content):
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(UnreadableFile) as caught:
        table_of(tmp_path / "x.toml")
    assert len(str(caught.value)) <= LONGEST_CLAUSE


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    for path in (*(tmp_path / name for name in ("pipe", "loop", "folder", "huge")), "/dev/zero"):
        with pytest.raises(UnreadableFile):
            content_of(tmp_path / path)
    for name in ("none", "none/below"):
        with pytest.raises(FileNotFoundError):
            content_of(tmp_path / name)
    with pytest.raises(UnreadableFile):
        content_of(tmp_path / "a\0b")


def test_a_clause_is_printable_and_short():
    assert clause("a\nb\x1b[31m") == "a b?[31m"
    assert len(clause("x" * 10**6)) == LONGEST_CLAUSE


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "x"
    write_whole(path, b"before")

    def fail() -> None:
        with whole(path) as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path):
    write_whole(tmp_path / "[x]", b"1")
    (tmp_path / f".[x].{2**22 + 1}.part").write_bytes(b"torn")  # no kernel gives such a number
    (tmp_path / f".[x].{os.getppid()}.part").write_bytes(b"at work")
    write_whole(tmp_path / "[x]", b"2")
    assert sorted(each.name for each in tmp_path.iterdir()) == [f".[x].{os.getppid()}.part", "[x]"]


def test_links_and_devices_are_written_through(tmp_path):
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", b"1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"1"
    (tmp_path / "null").symlink_to("/dev/null")
    write_whole(tmp_path / "null", b"1")
    assert stat.S_ISCHR((tmp_path / "null").stat().st_mode)


def test_a_folder_stands_whole_or_not_at_all(tmp_path):
    left = tmp_path / f".killed.{ended_process()}.part"
    left.mkdir()
    (left / "half").write_bytes(b"x")
    with whole_folder(tmp_path / "new") as part:
        assert not left.exists(), "what a kill left is gone"
        (part / "file").write_bytes(b"x")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new" / "file").read_bytes() == b"x"
    with pytest.raises(FileExistsError), whole_folder(tmp_path / "new") as part:
        (part / "other").write_bytes(b"")
    with pytest.raises(KeyError), whole_folder(tmp_path / "another"):
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def ended_process():
    """The number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_who_writes_whole_files_does_it_here():
    """Else what a kill or a full disk leaves of them is removed by nobody."""
    others = {
        "download.py",  # a part that came is continued
        "micro.py",  # a worker writes it, and it is looked at before it counts
    }
    code = {path.name for path in Path(files.__file__).parent.rglob("*.py") if in_parts(path)}
    assert code == {"files.py", *others}


def in_parts(path):
    return '.part"' in path.read_text(encoding="utf-8")
