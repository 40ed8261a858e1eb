"""The machine that a run was made on."""

from __future__ import annotations

import hashlib

import msgspec

from harness.spec.bounds import Count


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What decides how fast a computation is, as far as it can be read."""

    cpu: str
    cores: Count
    memory_bytes: Count
    kernel: str
    gpu: str | None = None
    driver: str | None = None
    system: str = ""
    """Distribution and version; not part of the fingerprint."""
    libc: str = ""
    """The C library that Python was built for, and its version; not part of the fingerprint."""
    governor: str | None = None
    """Frequency governor, where the kernel shows one; not part of the fingerprint."""

    @property
    def identity(self) -> dict[str, object]:
        """What makes it this machine and no other: CPU model, cores, memory, kernel, GPU, driver.

        Memory counts in whole GiB: the kernel reserves a little more or less at each boot.
        """
        return {
            "cpu": self.cpu,
            "cores": self.cores,
            "memory in GiB": round(self.memory_bytes / 2**30),
            "kernel": self.kernel,
            "gpu": self.gpu,
            "driver": self.driver,
        }

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits over its identity."""
        parts = tuple(self.identity.values())
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """A framework's environment, as it was when the run began."""

    framework: str
    key: str
    """Hash of requirements, Python version and device: equal keys are equal environments."""
    python: str
    version: str
    """Version of the framework's own distribution."""
    packages: dict[str, str]
    """Distribution → version, of everything installed."""
    moving: tuple[str, ...] = ()
    """Requirements that may lead to something else another day (a branch, a file), with the commit
    or digest of what they led to."""
    package: str = ""
    """The distribution whose version is the framework's."""
    asked_version: str | None = None
    """The framework's version, or another package's requirement (``PACKAGE==1.2.3``), where the
    user asked for one; else all are the requirements file's."""
    variant: str = ""
    """As ``Cell.variant``."""
    interpreter: str = ""
    """Of an environment that was there already: its interpreter, with ``~`` for the home folder."""
