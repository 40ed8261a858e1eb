"""Full disks and small limits: one line, and with more room it goes on where it was."""

from __future__ import annotations

import contextlib
import random
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .commands import Done, held
from .conftest import drawn
from .processes import RUN, House
from .stories import Story, whole

pytestmark = [pytest.mark.campaign, pytest.mark.frameworks]

SMALLEST_BYTES, LARGEST_BYTES = 2**13, 48 * 2**20
ROOM_AFTERWARDS = "size=2g,nr_inodes=0"


class SmallDisk:
    """A file system of its own in the place of a folder, which can be made larger."""

    def __init__(self, folder: Path, options: str) -> None:
        self._folder = folder
        self._mount("-t", "tmpfs", "-o", options, "tmpfs")

    def enlarge(self) -> None:
        self._mount("-o", f"remount,{ROOM_AFTERWARDS}")

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self._folder)], check=True)

    def _mount(self, *how: str) -> None:
        done = subprocess.run(["mount", *how, str(self._folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[SmallDisk]:
    disk = SmallDisk(folder, options)
    try:
        yield disk
    finally:
        disk.close()


def place_of(draw: random.Random, house: House) -> Path:
    """Where there will be no room; what was to be found there has to be made."""
    place = draw.choice(("work", "work", "oracle", "datasets", "tmp"))
    if place in ("oracle", "datasets"):
        return house.cache / "levelfield" / place
    return house.folder / place


@pytest.mark.parametrize("number", range(10))
def test_a_full_disk_is_one_line_and_with_room_the_run_goes_on(house: House, number: int) -> None:
    draw = drawn("disk", number)
    place = place_of(draw, house)
    room_bytes = int(SMALLEST_BYTES * (LARGEST_BYTES / SMALLEST_BYTES) ** draw.random())
    options = f"nr_inodes={draw.randrange(2, 40)}" if draw.random() < 0.3 else f"size={room_bytes}"
    with small_disk(place, options) as disk:
        story = Story(house, healthy=place != house.work)
        done = house.run(*RUN)
        assert done.code in (2, 3), done.stderr
        if done.code == 2:
            assert " room" in done.stderr or "No space" in done.stderr, done.stderr
        story.look()
        disk.enlarge()
        for events in story.end():
            whole(events, even_failed=True)


LIMITS: dict[str, tuple[int, Callable[[random.Random], int]]] = {
    "file size": (resource.RLIMIT_FSIZE, lambda draw: int(2 ** draw.uniform(0, 24))),
    "open files": (resource.RLIMIT_NOFILE, lambda draw: draw.randrange(4, 40)),
    "address space": (resource.RLIMIT_AS, lambda draw: int(2 ** draw.uniform(26, 31))),
    "stack": (resource.RLIMIT_STACK, lambda draw: int(2 ** draw.uniform(17, 23))),
    "core files": (resource.RLIMIT_CORE, lambda draw: 0),
    "locked memory": (resource.RLIMIT_MEMLOCK, lambda draw: 0),
}


def limited_to(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_one_line_and_without_it_the_run_goes_on(
    house: House, name: str, number: int
) -> None:
    draw = drawn(name, number)
    kind, chosen = LIMITS[name]
    value = chosen(draw)
    story = Story(house)
    done = house.ended(house.start(*RUN, before=limited_to(kind, value)))
    if began(done):
        held(done, (name, str(value)), chatty=True)
        assert done.code in (2, 3), done.stderr
    story.look()
    for events in story.end():
        whole(events, even_failed=True)


def began(done: Done) -> bool:
    """Python itself could start; before that nothing is ours to say."""
    return "levelfield: " in done.stderr or done.code in (2, 3)
