"""``impl.toml``: all that the harness knows of a framework."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from harness.errors import UsageError
from harness.spec.cells import Input
from harness.spec.tables import record
from impls.adapter import AdamFormula, MomentumFormula, VarianceFormula

CudaVersion = Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+$")]
DriverVersion = Annotated[str, msgspec.Meta(pattern=r"^\d+(\.\d+)*$")]
ComputeCapability = Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d$")]
"""``major.minor``, as NVIDIA numbers its GPUs' instruction sets."""
NOT_IN_FILES = ("name", "folder", "variant", "tree", "script")
"""Fields that follow from where the file is, or from what a command asks for."""


class GpuLimits(msgspec.Struct, frozen=True, kw_only=True):
    """``[gpu]`` in ``impl.toml``: what the build in ``requirements-gpu.txt`` asks of a GPU."""

    package: str | None = None
    """The distribution whose version is the framework's, where it is another than on the CPU."""
    cuda: CudaVersion
    """The CUDA toolkit that it was built with."""
    least_driver: DriverVersion
    """The oldest NVIDIA driver that runs it."""
    machine_code: tuple[ComputeCapability, ...]
    """Compute capabilities that it holds machine code for; each serves the same major version's
    later minor ones too.
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#binary-compatibility"""
    ptx: ComputeCapability | None = None
    """The newest that it holds PTX for, which the driver compiles for any later one."""
    least_compute_capability: ComputeCapability | None = None
    """Where a library that it needs asks for more than its own code."""
    memory_mib: int
    """Peak device memory of a LeNet worker, CUDA's own share included."""
    variance_formula: VarianceFormula | None = None
    """Which variance moves BatchNorm's running variance, where it is another than on the CPU."""
    environment: dict[str, str] = {}
    """Environment variables that its workers need on a GPU, beside those of every worker."""

    def has_code_for(self, compute_capability: tuple[int, int]) -> bool:
        """Whether a GPU of this compute capability can run it."""
        if compute_capability < _numbers(self.least_compute_capability or "0.0"):
            return False
        major, minor = compute_capability
        held = [_numbers(each) for each in self.machine_code]
        if any(one == major and two <= minor for one, two in held):
            return True
        return self.ptx is not None and compute_capability >= _numbers(self.ptx)


class Implementation(msgspec.Struct, frozen=True, kw_only=True):
    """One folder under ``impls/``, or under a folder that the user named."""

    name: str
    """The folder's name."""
    folder: str
    title: str
    """The framework's own spelling, for readers."""
    package: str
    """The distribution whose version is the framework's version."""
    variant: str = ""
    """As ``Cell.variant``, where a run measures two revisions of one implementation."""
    tree: str = ""
    """The levelfield that its workers' own code comes from; empty: this one."""
    script: str = ""
    """A program that is measured in place of the adapter, see ``execution/script.py``."""
    role: Literal["framework", "oracle"] = "framework"
    """An ``oracle`` is what the others are held against; it is never ranked."""
    python: tuple[str, ...]
    """Python versions (``major.minor``) that it runs on, the best first."""
    default_mode: str
    modes: dict[str, str]
    """Mode → what that means in this framework, in a few words."""
    adam_formula: AdamFormula = "epsilon"
    """Where ε stands in its Adam (see ``impls/adapter.py``): its parity is proven against this.
    An oracle computes whichever formula it is asked for."""
    momentum_formula: MomentumFormula = "rate-outside"
    variance_formula: VarianceFormula = "biased"
    """Which variance moves its BatchNorm's running variance."""
    inputs: tuple[Input, ...] = ("resident",)
    """Beside ``resident``, what its adapter's ``open_loader`` takes: ``loader``, ``pipeline``."""
    memory_mib: int
    """Peak resident memory of a LeNet worker, as measured: checked against what is free."""
    environment: dict[str, str] = {}
    """Environment variables that its workers need, beside the harness's allow-list."""
    gpu: GpuLimits | None = None
    """None: it can't be measured on a GPU."""

    @property
    def key(self) -> str:
        """``NAME``, or ``NAME~VARIANT``: what it is called where several are kept."""
        return f"{self.name}~{self.variant}" if self.variant else self.name

    def distribution(self, device: str) -> str:
        """The distribution whose version is the framework's, on ``device``."""
        if device != "cpu" and self.gpu is not None and self.gpu.package is not None:
            return self.gpu.package
        return self.package

    def variance_formula_on(self, device: str) -> VarianceFormula:
        """Which variance moves BatchNorm's running variance on ``device``."""
        if device != "cpu" and self.gpu is not None and self.gpu.variance_formula is not None:
            return self.gpu.variance_formula
        return self.variance_formula

    def environment_on(self, device: str) -> dict[str, str]:
        """Environment variables that its workers need on ``device``, beside the allow-list."""
        own = self.gpu.environment if device != "cpu" and self.gpu is not None else {}
        return {**self.environment, **own}

    def requirements(self, device: str) -> Path:
        """The requirements file for ``device`` (``cpu``, ``gpu`` or ``gpu:N``)."""
        return Path(self.folder) / f"requirements-{device.split(':')[0]}.txt"

    def loader_requirements(self, device: str) -> Path:
        """What its data loader needs beside those; the file may be missing: nothing more."""
        return Path(self.folder) / f"requirements-{device.split(':')[0]}-loader.txt"


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


def read_implementation(folder: Path) -> Implementation:
    """The implementation in ``folder``.

    Raises:
        UsageError: ``impl.toml`` is missing or wrong; the text names file and field.
    """
    path = folder / "impl.toml"
    try:
        table = msgspec.toml.decode(path.read_bytes())
        for field in NOT_IN_FILES:
            if field in table:
                raise ValueError(f"Object contains unknown field `{field}`")
        place = {"name": folder.name, "folder": str(folder.resolve())}
        implementation = record({**table, **place}, Implementation)
    except FileNotFoundError:
        raise UsageError(
            f"No impl.toml in {folder}: an implementation needs one; "
            "start one with 'levelfield new-impl NAME'"
        ) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError(f"{path}: {error}: mend that field") from None
    if implementation.default_mode not in implementation.modes:
        raise UsageError(
            f"{path}: default_mode is {implementation.default_mode!r}, expected one of "
            f"{', '.join(implementation.modes)}: mend that field"
        )
    return implementation


def read_implementations(*parents: Path) -> dict[str, Implementation]:
    """Name → implementation, for every folder with an ``impl.toml`` under ``parents``.

    Raises:
        UsageError: two implementations have one name, or an ``impl.toml`` is wrong.
    """
    found: dict[str, Implementation] = {}
    for parent in parents:
        for path in sorted(parent.glob("*/impl.toml")):
            implementation = read_implementation(path.parent)
            if implementation.name in found:
                raise UsageError(
                    f"Two implementations are named {implementation.name} "
                    f"({found[implementation.name].folder} and {implementation.folder}): "
                    "rename one folder"
                )
            found[implementation.name] = implementation
    return found
