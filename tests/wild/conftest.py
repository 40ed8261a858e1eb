"""A folder of stored runs, one of which something happens to."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.spec.manifest import Manifest
from harness.store.micro import MicroWriter, micro_path
from harness.store.runs import read_run
from tests.report.micros import micro_of

from .processes import HEALTHY as HEALTHY_RUN
from .processes import QUICK, RUN, House, nothing_left

STORED = Path(__file__).parent / "stored"
"""A real run, of two contenders that train in a moment."""
SEED = int(os.environ.get("LEVELFIELD_WILD_SEED", "0"))
"""Another one draws other cases."""
VICTIM = "2026-01-03-victim"
HEALTHY = ("2026-01-01-one", "2026-01-02-two", "2026-01-04-four")


class Stored:
    """Runs in ``results/runs``; the victim is made anew for each case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "results" / "runs"
        self.victim = self.runs / VICTIM
        for name in HEALTHY:
            make_run(self.runs / name)
        self._pristine = folder / "pristine"
        make_run(self._pristine, VICTIM)

    def renew(self) -> None:
        """The victim is as it was written."""
        remove(self.victim)
        shutil.copytree(self._pristine, self.victim)


def make_run(folder: Path, name: str = "") -> None:
    """The stored run, with micro-benchmarks, stands in ``folder``."""
    folder.mkdir(parents=True)
    name = name or folder.name
    manifest = msgspec.json.decode((STORED / "run.json").read_bytes(), type=Manifest)
    changed = msgspec.structs.replace(manifest, run=name, created=f"{name[:10]}T00:00:00+00:00")
    (folder / "run.json").write_bytes(msgspec.json.encode(changed))
    shutil.copy(STORED / "trials.jsonl", folder)
    micro = micro_of(read_run(folder), measured=("quick",))
    with MicroWriter(folder, micro.manifest):
        for framework, file in micro.files.items():
            micro_path(folder, framework).write_bytes(msgspec.json.encode(file))


def remove(path: Path) -> None:
    """Whatever stands there is gone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return Stored(tmp_path_factory.mktemp("wild"))


@pytest.fixture
def stored(tree: Stored) -> Iterator[Stored]:
    tree.renew()
    yield tree
    remove(tree.victim)


def campaign(number: int) -> list[pytest.MarkDecorator]:
    """The first case of each kind runs with all other tests, so that these means keep working."""
    return [] if number == 0 else [pytest.mark.campaign]


def cases(count: int) -> list[object]:
    """The numbers of so many cases."""
    return [pytest.param(number, marks=campaign(number)) for number in range(count)]


def drawn(name: str, number: int) -> random.Random:
    """The chance of one case: the same for the same name, number and seed."""
    return random.Random(f"{SEED}-{name}-{number}")


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with all that a run needs, made once; the environment of ``quick`` among it."""
    house = House(tmp_path_factory.mktemp("houses") / "first")
    assert house.run("env", "sync", *QUICK[:4]).code == 0
    assert house.run(*RUN).code == 3, "quick does not compute what it should"
    assert house.left_files() == []
    return house.cache / "levelfield"


@pytest.fixture
def house(furnished: Path, tmp_path: Path) -> Iterator[House]:
    """One with all in its cache, and a healthy run."""
    with nothing_left():
        made = House(tmp_path / "house", furnished / "environments")
        for name in ("oracle", "datasets"):
            shutil.copytree(furnished / name, made.cache / "levelfield" / name)
        make_run(made.runs / HEALTHY_RUN)
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many kills there were, and in which phases: which ones, time decides with the seed."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    kills = Counter(
        what for each in reports for name, what in each.user_properties if name == "kill"
    )
    if kills:
        listed = ", ".join(f"{what} {times}" for what, times in sorted(kills.items()))
        terminalreporter.write_line(f"{kills.total()} kills: {listed}")
