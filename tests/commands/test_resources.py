"""A run goes on where it was begun, and nowhere else."""

from __future__ import annotations

import msgspec
import pytest

from harness.commands import resources
from harness.environments.machine import inspect_machine
from harness.errors import UsageError
from harness.spec.machine import Machine
from tests.analysis.golden import stored_run

HERE = inspect_machine()
BEGUN = msgspec.structs.replace(
    stored_run("faster").manifest, machine=HERE, harness=resources.harness_versions()
)


def check(**changes: object) -> None:
    """A run whose machine had ``changes`` goes on here."""
    machine = msgspec.structs.replace(HERE, **changes)
    resources._check_same_machine(msgspec.structs.replace(BEGUN, machine=machine))


def test_here_it_goes_on():
    check()
    check(memory_bytes=HERE.memory_bytes + 2**20, system="Another", governor="powersave")


def test_records_of_earlier_versions_say_less():
    before = msgspec.structs.replace(HERE, libc="")
    resources._check_same_machine(msgspec.structs.replace(BEGUN, machine=before, harness={}))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cpu", "A slower one", f"cpu of this machine is {HERE.cpu}, expected A slower one"),
        ("cores", HERE.cores + 2, f"cores of this machine is {HERE.cores}, expected"),
        ("memory_bytes", HERE.memory_bytes + 2**32, "memory in GiB of this machine is"),
        ("kernel", "5.4.0", "expected 5.4.0 as when made-up began"),
        ("gpu", "Another", "gpu of this machine is none, expected Another"),
        ("libc", "musl 1.2", "libc of this machine is .*, expected musl 1.2"),
    ],
)
def test_elsewhere_it_is_refused_by_the_field(monkeypatch, field, value, said):
    monkeypatch.setattr(
        resources, "inspect_machine", lambda: msgspec.structs.replace(HERE, gpu=None)
    )
    with pytest.raises(UsageError, match=said) as caught:
        check(**{"gpu": None, field: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["python", "numpy"])
def test_the_harness_itself_is_the_same(name):
    other = {**resources.harness_versions(), name: "0.1"}
    with pytest.raises(UsageError, match=f"{name} of this machine is .*, expected 0.1"):
        resources._check_same_machine(msgspec.structs.replace(BEGUN, harness=other))


def test_every_part_of_the_fingerprint_counts():
    """One that is added later is held too."""
    plain = Machine(cpu="c", cores=1, memory_bytes=2**30, kernel="k")
    assert set(plain.identity.values()) == {"c", 1, "k", None}
