"""All environments of the user: made once, found again, listed, removed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from harness.environments.examination import environment_info, examined
from harness.environments.given import given_environment
from harness.environments.installation import (
    install_requirements,
    log_path,
    make_virtual_environment,
    python_of,
    told_last,
)
from harness.environments.interpreters import (
    Interpreter,
    find_interpreter,
    installed_packages,
    no_interpreter_error,
    preferred_pythons,
    prove,
)
from harness.environments.locks import held_lock, hold_use, in_use_elsewhere, is_locked
from harness.environments.records import (
    MARKER,
    EnvironmentInfo,
    Progress,
    SyncedEnvironment,
    no_progress,
    put_back,
    read_marker,
    set_aside,
    size_bytes,
    written_marker,
)
from harness.environments.requirements import Wanted, wanted_environment
from harness.errors import WorkplaceError
from harness.paths import user_cache
from harness.spec.implementations import Implementation
from harness.spec.machine import Environment


class Choice(msgspec.Struct, frozen=True):
    """The environment to use: there already, or to be made with an interpreter."""

    wanted: Wanted
    existing: SyncedEnvironment | None = None
    interpreter: Interpreter | None = None


class Environments:
    """The environments in one folder; by default the one that all of the user's clones share."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else user_cache() / "environments"

    def sync(
        self,
        implementation: Implementation,
        device: str = "cpu",
        version: str | None = None,
        *,
        loader: bool = False,
        progress: Progress = no_progress,
        others: Sequence[str] = (),
        base: str | None = None,
    ) -> SyncedEnvironment:
        """The environment of ``implementation`` is complete; it is made if it was not.

        Where an interpreter was given, that is its environment, and nothing is made for it but
        the tools that it lacks.

        Args:
            implementation: Whose environment.
            device: ``cpu``, ``gpu`` or ``gpu:N``.
            version: The framework's version, in place of the requirements file's own; or the label
                of an interpreter that was given.
            loader: Whether the framework's own data loader must work in it.
            progress: Told a line whenever something begins that takes a while.
            others: Names of the other implementations of this run, for the advice in an error.
            base: An interpreter to make it with where no other one serves.

        Raises:
            UsageError: a line of the requirements file, or the version, can't be used.
            WorkplaceError: no interpreter serves, pip failed, the folder can't be written, or it
                is broken and another run uses it.
        """
        given = implementation.interpreter(version)
        if given is not None:
            found = given_environment(
                implementation,
                device,
                version,
                given,
                lambda tools, own: self.sync(tools, progress=progress, base=own),
                loader=loader,
            )
            assert found is not None  # what it needs was made
            return found
        choice = self._choice(implementation, device, version, loader, base)
        if choice is None:
            raise no_interpreter_error(implementation, others)
        if choice.existing is not None:
            used = Path(choice.existing.folder)
            hold_use(used)
            if (used / MARKER).exists():  # else it was removed meanwhile
                return choice.existing
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            folder = self._folder(choice.wanted)
            with held_lock(folder, progress, lambda: told_last(folder)):
                # Another run may have made it while this one waited.
                found = self._complete(choice.wanted)
                if found is None:
                    interpreter = choice.interpreter or find_interpreter(choice.wanted.python)
                    if interpreter is None:
                        raise no_interpreter_error(implementation, others)
                    found = self._make(choice.wanted, interpreter, progress)
                hold_use(Path(found.folder))
                return found
        except OSError as error:
            raise WorkplaceError(
                f"The environment of {implementation.name} could not be made in {self.root} "
                f"({error}): make that folder writable, or move it with XDG_CACHE_HOME"
            ) from error

    def find(
        self,
        implementation: Implementation,
        device: str = "cpu",
        version: str | None = None,
        *,
        loader: bool = False,
    ) -> SyncedEnvironment | None:
        """The environment that ``sync`` would give, if it needs no making; nothing is written.

        Raises:
            UsageError: a line of the requirements file, or the version, can't be used.
            WorkplaceError: there is no requirements file for this device.
        """
        given = implementation.interpreter(version)
        if given is not None:
            return given_environment(
                implementation,
                device,
                version,
                given,
                lambda tools, own: self.find(tools),
                loader=loader,
            )
        choice = self._choice(implementation, device, version, loader)
        return choice.existing if choice else None

    def listed(self, implementations: Iterable[Implementation]) -> tuple[EnvironmentInfo, ...]:
        """Every environment in the folder, by name; ``implementations`` decide what is current."""
        known = {implementation.name: implementation for implementation in implementations}
        return tuple(environment_info(folder, known) for folder in self._folders())

    def remove(self, name: str) -> int:
        """The environment in the folder ``name`` is gone, with its log; returns the bytes freed.

        Raises:
            WorkplaceError: there is none of that name, or another run makes or uses it.
        """
        names = [folder.name for folder in self._folders()]
        if name not in names:
            raise WorkplaceError(
                f"No environment {name} in {self.root} (there are: {', '.join(names) or 'none'}): "
                "name one of those"
            )
        folder = self.root / name
        if is_locked(folder):
            raise WorkplaceError(
                f"{name} is being made by another run: wait for that to end, or end it"
            )
        try:
            with held_lock(folder, no_progress, lambda: ""):
                freed_bytes = size_bytes(folder)
                self._clear(folder)
                log_path(folder).unlink(missing_ok=True)
        except OSError as error:
            raise WorkplaceError(f"{folder} can't be removed ({error}): do it by hand") from None
        return freed_bytes

    def _clear(self, folder: Path) -> None:
        """``folder`` is gone; the caller holds its lock.

        Raises:
            WorkplaceError: another run uses it; then it is as it was.
        """
        # First the marker: a removal that is cut off leaves nothing that looks complete, and who
        # begins to use the folder now sees that it is no more to be used.
        set_aside(folder)
        if in_use_elsewhere(folder):
            put_back(folder)
            raise WorkplaceError(
                f"{folder.name} is in use by another run: wait for that to end, or end it"
            )
        shutil.rmtree(folder)

    def _choice(
        self,
        implementation: Implementation,
        device: str,
        version: str | None,
        loader: bool = False,
        base: str | None = None,
    ) -> Choice | None:
        """The first Python version, in order of preference, that there is anything for."""
        for python in preferred_pythons(implementation.python):
            wanted = wanted_environment(implementation, device, python, version, loader=loader)
            # A complete environment serves even where its base interpreter isn't on the PATH.
            existing = self._complete(wanted)
            interpreter = None if existing else find_interpreter(python)
            if existing or interpreter:
                return Choice(wanted, existing, interpreter)
            own = prove(base) if base else None
            if own is not None and own.minor == python:
                return Choice(wanted, interpreter=own)
        return None

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.root.glob("*-*") if path.is_dir())

    def _folder(self, wanted: Wanted) -> Path:
        """Where it is or will be: under its own name, unless another's is made from the same."""
        own = self.root / wanted.name
        if not (own / MARKER).exists():
            markers = [(folder, read_marker(folder)) for folder in self._folders()]
            fit = [
                (each, made.wanted) for each, made in markers if made and made.wanted.serves(wanted)
            ]
            # Of several, the one that was made for this framework.
            fit.sort(key=lambda one: one[1].framework != wanted.framework)
            return fit[0][0] if fit else own
        return own

    def _complete(self, wanted: Wanted) -> SyncedEnvironment | None:
        folder = self._folder(wanted)
        seen = examined(folder)
        if seen.marker is None or seen.reason:
            return None
        package = canonicalize_name(wanted.package)
        if package not in seen.packages:
            raise _lacks_package(wanted, folder)
        return SyncedEnvironment(
            folder=str(folder),
            python=str(python_of(folder)),
            record=Environment(
                framework=wanted.framework,
                key=seen.marker.key,
                python=seen.python,
                version=seen.packages[package],
                packages=seen.packages,
                moving=wanted.moving,
                package=package,
                asked_version=wanted.asked_version,
                variant=wanted.variant,
            ),
            size_bytes=seen.marker.size_bytes,
        )

    def _make(
        self, wanted: Wanted, interpreter: Interpreter, progress: Progress
    ) -> SyncedEnvironment:
        """The environment is made from nothing; the caller holds its lock."""
        folder = self._folder(wanted)
        if folder.exists():
            progress(f"removing {folder.name}: {examined(folder).reason}")
            self._clear(folder)
        log_path(folder).unlink(missing_ok=True)  # who waits reads there what is being done
        progress(f"making {folder.name} with Python {interpreter.version}")
        try:
            make_virtual_environment(folder, interpreter)
            install_requirements(folder, wanted, progress)
            self._finish(folder, wanted)
        except BaseException:
            # A half-made environment serves nobody and may hold gigabytes.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        made = self._complete(wanted)
        assert made is not None
        return made

    def _finish(self, folder: Path, wanted: Wanted) -> None:
        installed = installed_packages(python_of(folder))
        if installed is None or canonicalize_name(wanted.package) not in installed.packages:
            raise _lacks_package(wanted, folder)
        written_marker(folder, wanted, installed.python, installed.packages, time.time())


def _lacks_package(wanted: Wanted, folder: Path) -> WorkplaceError:
    return WorkplaceError(
        f"The environment of {wanted.framework} has no {wanted.package} after pip's work, "
        f"expected one from its requirements-{wanted.device}.txt: add it there, or mend "
        f"`package` in impl.toml (pip's output: {log_path(folder)})"
    )
