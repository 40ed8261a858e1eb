"""``impl.toml``: all that the harness knows of a framework."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from harness import paths
from harness.errors import UsageError
from harness.files import UnreadableFile, clause
from harness.spec.cells import Input
from harness.spec.matched import refusal
from harness.spec.tables import record, written_table
from impls.adapter import AdamFormula, MomentumFormula, VarianceFormula

CudaVersion = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}$(?!\n)")]
DriverVersion = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){0,3}$(?!\n)")]
ComputeCapability = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,3}\.[0-9]$(?!\n)")]
"""``major.minor``, as NVIDIA numbers its GPUs' instruction sets."""
Float64Tolerance = Annotated[float, msgspec.Meta(gt=0, le=1e-6)]
"""Above this a float64 proof would show no more than float32 does."""
Python = Annotated[str, msgspec.Meta(pattern=r"^3\.[0-9]{1,2}$(?!\n)")]
"""``major.minor``."""
Distribution = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$(?!\n)", max_length=100)
]
"""A distribution's name: https://packaging.python.org/specifications/name-normalization/"""
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$(?!\n)", max_length=100)]
"""Part of a cell's id, of paths and of what ``-f`` and ``--mode`` take."""
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)", max_length=500)]
"""One line for readers."""
Title = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)", max_length=80)]
MemoryMib = Annotated[int, msgspec.Meta(ge=1, le=2**20)]
"""Up to 1 TiB."""
Variables = dict[
    Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)", max_length=100)],
    Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$(?!\n)", max_length=10_000)],
]
NOT_IN_FILES = ("name", "folder", "variant", "tree", "script", "pythons")
"""Fields that follow from where the file is, or from what a command asks for."""


class GpuLimits(msgspec.Struct, frozen=True, kw_only=True):
    """``[gpu]`` in ``impl.toml``: what the build in ``requirements-gpu.txt`` asks of a GPU."""

    package: Distribution | None = None
    """The distribution whose version is the framework's, where it is another than on the CPU."""
    cuda: CudaVersion
    """The CUDA toolkit that it was built with."""
    least_driver: DriverVersion
    """The oldest NVIDIA driver that runs it."""
    machine_code: Annotated[tuple[ComputeCapability, ...], msgspec.Meta(min_length=1)]
    """Compute capabilities that it holds machine code for; each serves the same major version's
    later minor ones too.
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#binary-compatibility"""
    ptx: ComputeCapability | None = None
    """The newest that it holds PTX for, which the driver compiles for any later one."""
    least_compute_capability: ComputeCapability | None = None
    """Where a library that it needs asks for more than its own code."""
    memory_mib: MemoryMib
    """Peak device memory of a LeNet worker, CUDA's own share included."""
    variance_formula: VarianceFormula | None = None
    """Which variance moves BatchNorm's running variance, where it is another than on the CPU."""
    environment: Variables = {}
    """Environment variables that its workers need on a GPU, beside those of every worker."""
    default_mode: str | None = None
    """The mode that is measured on a GPU where nobody asks for another; none: as on the CPU."""

    def has_code_for(self, compute_capability: tuple[int, int]) -> bool:
        """Whether a GPU of this compute capability can run it."""
        if compute_capability < _numbers(self.least_compute_capability or "0.0"):
            return False
        major, minor = compute_capability
        held = [_numbers(each) for each in self.machine_code]
        if any(one == major and two <= minor for one, two in held):
            return True
        return self.ptx is not None and compute_capability >= _numbers(self.ptx)


class Float64(msgspec.Struct, frozen=True, kw_only=True):
    """``[float64]`` in ``impl.toml``: where the same code computes in float64, and how exactly.

    The oracle, too, gets optimizer constants that float32 holds exactly.
    """

    modes: tuple[str, ...]
    """Those in which ``Setup.precision`` may be ``float64``."""
    parameters: Float64Tolerance = 1e-9
    """How far parameters, and what follows from them alone, may be from the oracle's, by parity's
    measure. More than this only where the framework itself keeps something in float32."""
    statistics: Float64Tolerance = 1e-9
    """Likewise of BatchNorm's running statistics, and of inference, which they go into."""


class Implementation(msgspec.Struct, frozen=True, kw_only=True):
    """One folder under ``impls/``, or under a folder that the user named."""

    name: Name
    """The folder's name."""
    folder: str
    title: Title
    """The framework's own spelling, for readers."""
    package: Distribution
    """The distribution whose version is the framework's version."""
    variant: str = ""
    """As ``Cell.variant``, where a run measures two revisions of one implementation."""
    tree: str = ""
    """The levelfield that its workers' own code comes from; empty: this one."""
    script: str = ""
    """A program that is measured in place of the adapter, see ``execution/script.py``."""
    pythons: dict[str, str] = {}
    """Label → an interpreter that is there already, to use instead of an environment of our own;
    under the empty label the one of ``-f NAME`` itself."""
    role: Literal["framework", "oracle"] = "framework"
    """An ``oracle`` is what the others are held against; it is never ranked."""
    shares: tuple[Name, ...] = ()
    """Other folders whose modules its code imports, each as ``impls.NAME``: one beside its own, or
    one of ours. What is in them counts as its own code."""
    python: Annotated[tuple[Python, ...], msgspec.Meta(min_length=1)]
    """Python versions (``major.minor``) that it runs on, the best first."""
    default_mode: Name
    """The mode that is measured where nobody asks for another."""
    modes: Annotated[dict[Name, Text], msgspec.Meta(min_length=1)]
    """Mode → what that means in this framework, in a few words."""
    adam_formula: AdamFormula = "epsilon"
    """Where ε stands in its Adam (see ``impls/adapter.py``): its parity is proven against this.
    An oracle computes whichever formula it is asked for."""
    momentum_formula: MomentumFormula = "rate-outside"
    variance_formula: VarianceFormula = "biased"
    """Which variance moves its BatchNorm's running variance."""
    float64: Float64 | None = None
    """None: it computes in float32 alone."""
    inputs: Annotated[tuple[Input, ...], msgspec.Meta(min_length=1)] = ("resident",)
    """Beside ``resident``, what its adapter's ``open_loader`` takes: ``loader``, ``pipeline``."""
    loader_processes: bool = False
    """Whether its loader's workers are processes, which hand batches over in shared memory."""
    memory_mib: MemoryMib
    """Peak resident memory of a LeNet worker, as measured: checked against what is free."""
    environment: Variables = {}
    """Environment variables that its workers need, beside the harness's allow-list; ``{threads}``
    in a value becomes the cell's number of threads. What is matched can't be set here: see
    ``matched``."""
    gpu: GpuLimits | None = None
    """None: it can't be measured on a GPU."""

    @property
    def is_our_own(self) -> bool:
        """Whether it came with the suite, and not from a folder that the user named."""
        return Path(self.folder).parent == paths.IMPLS.resolve()

    @property
    def shared_folders(self) -> tuple[str, ...]:
        """Where those are that it shares, in their order."""
        return tuple(str(_shared_folder(Path(self.folder), name)) for name in self.shares)

    @property
    def key(self) -> str:
        """``NAME``, or ``NAME~VARIANT``: what it is called where several are kept."""
        return f"{self.name}~{self.variant}" if self.variant else self.name

    def interpreter(self, asked: str | None) -> str | None:
        """The interpreter that is there already for ``NAME``, or for ``NAME@ASKED``, if any."""
        return self.pythons.get(asked or "")

    def distribution(self, device: str) -> str:
        """The distribution whose version is the framework's, on ``device``."""
        if device != "cpu" and self.gpu is not None and self.gpu.package is not None:
            return self.gpu.package
        return self.package

    def default_mode_on(self, device: str) -> str:
        """The mode that is measured on ``device`` where nobody asks for another."""
        if device != "cpu" and self.gpu is not None and self.gpu.default_mode is not None:
            return self.gpu.default_mode
        return self.default_mode

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


def _shared_folder(folder: Path, name: str) -> Path:
    beside = folder.parent / name
    return beside if beside.is_dir() else paths.IMPLS / name


def read_implementation(folder: Path) -> Implementation:
    """The implementation in ``folder``.

    Raises:
        UsageError: ``impl.toml`` is missing or wrong; the text names file and field.
    """
    path = folder / "impl.toml"
    try:
        table = written_table(path)
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
    except (UnreadableFile, ValueError) as error:
        raise UsageError(f"{path}: {clause(error)}: mend that field") from None
    for prefix, device in (("", "cpu"), ("gpu.", "gpu")):
        mode = implementation.default_mode_on(device)
        if mode not in implementation.modes:
            raise UsageError(
                f"{path}: {prefix}default_mode is {mode!r}, expected one of "
                f"{', '.join(implementation.modes)}: mend that field"
            )
        if why := refusal(implementation.environment_on(device)):
            raise UsageError(f"{path}: {prefix}environment: {why}")
    for shared in map(Path, implementation.shared_folders):
        if not (shared / "__init__.py").is_file() or (paths.IMPLS / f"{shared.name}.py").exists():
            raise UsageError(
                f"{path}: shares has {shared.name!r}, expected a package beside {folder.name} or "
                "one of ours, and no name of a module of impls/: mend that field"
            )
    float64 = implementation.float64 or Float64(modes=())
    if unknown := [mode for mode in float64.modes if mode not in implementation.modes]:
        raise UsageError(
            f"{path}: float64.modes has {unknown[0]!r}, expected only "
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
