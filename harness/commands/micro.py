"""``levelfield micro``: what single pieces of a training step cost, in every framework."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.analysis.micro_check import differing
from harness.commands import suites
from harness.commands.catalogue import Catalogue
from harness.commands.micro_session import Request, Session
from harness.commands.plan import command_line
from harness.commands.pythons import as_recorded
from harness.commands.run import start_run
from harness.console import Console
from harness.environments.collection import Environments
from harness.environments.machine import inspect_machine
from harness.errors import UsageError, WorkplaceError
from harness.execution.planning import Choice, chosen_implementations
from harness.spec.machine import Environment
from harness.spec.manifest import Manifest
from harness.spec.micro import Micro
from harness.spec.selection import FrameworkChoice, Selection
from harness.store.micro import has_micro, micro_path, read_micro_manifest
from harness.store.runs import read_manifest, read_run
from harness.temporary import temporary_folder


def start_micro(
    console: Console,
    catalogue: Catalogue,
    selection: Selection,
    request: Request,
    runs: Path,
    *,
    into: Path | None = None,
    base: Micro | None = None,
) -> Path:
    """Micro-benchmarks have been measured; the folder of the run that holds them.

    ``into``: the folder of a stored run that they are put in; by default a run of their own.
    ``base``: what they will be compared with.

    Raises:
        LevelfieldError: they could not begin, for instance as the run was made on another machine.
    """
    if len(selection.settings) > 1:
        raise UsageError(
            f"--settings is {' and '.join(selection.settings)}, expected one: a framework's file "
            "holds one of them"
        )
    suite = suites.micro_proofs(catalogue)
    known = None if into is None else read_manifest(into)
    if known is not None:
        catalogue = as_recorded(catalogue, known)
    if known is not None and not selection.frameworks:
        selection = msgspec.structs.replace(selection, frameworks=_frameworks_of(known))
    choices = chosen_implementations(suite, selection, catalogue.implementations)
    _check_once(choices)
    if known is not None:
        _check_same_place(known, choices, selection.device or suite.device)
    session = Session(console, catalogue, selection, request, base)
    if into is None or known is None:
        folder = start_run(
            console, catalogue, suite, selection, runs, command_line(), study="micro"
        )
        session.measure(read_run(folder), folder)
        return folder
    with temporary_folder("micro") as name:
        # Proofs of the modes that are measured here, which the run may not have been made in.
        proofs = start_run(
            console, catalogue, suite, selection, Path(name), command_line(), study="micro"
        )
        check_versions(known, read_manifest(proofs).environments)
        session.measure(read_run(proofs), into)
    return into


def resume_micro(
    console: Console, catalogue: Catalogue, folder: Path, data_dir: str | None
) -> Path:
    """The micro-benchmarks of the run in ``folder`` have come to their end.

    Frameworks that were measured to their end are not measured again.

    Raises:
        LevelfieldError: they can't go on, for instance as none had begun.
    """
    known, manifest = read_manifest(folder), None
    if has_micro(folder):
        manifest = read_micro_manifest(folder)
    if manifest is None:
        raise UsageError(
            f"{known.run} has no micro-benchmarks that had begun, expected some to go on with: "
            f"begin with 'levelfield micro', or 'levelfield micro --run {known.run}'"
        )
    asked = {one.framework: one.asked_version for one in known.environments}
    left = tuple(
        FrameworkChoice(one.framework, asked.get(one.framework))
        for one in manifest.frameworks
        if not micro_path(folder, one.framework).exists()
    )
    if not left:
        return folder
    conditions = manifest.conditions
    selection = Selection(
        frameworks=left,
        modes=tuple(dict.fromkeys(mode for one in manifest.frameworks for mode in one.modes)),
        device=conditions.device,
        threads=(conditions.threads,),
        settings=(conditions.settings,),
        dataset=conditions.dataset,
        data_dir=data_dir,
        seed=conditions.seed,
    )
    request = Request(conditions.batch_sizes, conditions.quick, manifest.select)
    return start_micro(console, catalogue, selection, request, folder.parent, into=folder)


def _frameworks_of(known: Manifest) -> tuple[FrameworkChoice, ...]:
    """Those that the run measured, in the versions that it was asked for."""
    return tuple(
        FrameworkChoice(one.framework, one.asked_version)
        for one in known.environments
        if not one.variant
    )


def _check_once(choices: Sequence[Choice]) -> None:
    names = [choice.implementation.name for choice in choices]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise UsageError(
            f"{twice[0]} is named {names.count(twice[0])} times, expected once: a run holds the "
            "micro-benchmarks of one version, so measure the other in a run of its own"
        )


def _check_same_place(known: Manifest, choices: Sequence[Choice], device: str) -> None:
    """This machine and its environments, as far as they are there, are those of the run ``known``.

    Nothing is made or downloaded for that.

    Raises:
        UsageError: they are not; the text names what differs.
    """
    machine = inspect_machine()
    if machine.fingerprint != known.machine.fingerprint:
        fields = ("cpu", "cores", "memory_bytes", "kernel", "gpu", "driver")
        raise UsageError(
            f"{known.run} was made on another machine "
            f"({'; '.join(differing(known.machine, machine, fields))}), expected this one: "
            "measure without --run"
        )
    measured = [one.framework for one in known.environments if not one.variant]
    for choice in choices:
        if choice.implementation.name not in measured:
            raise UsageError(
                f"{known.run} did not measure {choice.implementation.name}, expected one of "
                f"{', '.join(measured) or 'none'}: leave it out, or measure without --run"
            )
    there = []
    for choice in choices:
        with contextlib.suppress(WorkplaceError):  # planning says that in its own order
            there.append(Environments().find(choice.implementation, device, choice.version))
    check_versions(known, [one.record for one in there if one is not None])


def check_versions(known: Manifest, now: Sequence[Environment]) -> None:
    """Frameworks have the versions now that the run ``known`` measured.

    Raises:
        UsageError: one has not.
    """
    versions = {one.framework: one.version for one in known.environments if not one.variant}
    for one in now:
        before = versions[one.framework]
        if one.version != before:
            raise UsageError(
                f"{known.run} measured {one.framework} {before}, here it is {one.version}: "
                f"name it with -f {one.framework}@{before}, or measure without --run"
            )
