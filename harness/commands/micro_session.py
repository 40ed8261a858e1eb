"""Measuring micro-benchmarks: frameworks one after the other, each failure recorded."""

from __future__ import annotations

import datetime
import re
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness import __version__
from harness.commands.catalogue import Catalogue
from harness.commands.inputs import DatasetProgress, same_datasets
from harness.commands.micro_proofs import check_comparable, merged, proved_modes, unproved
from harness.commands.micro_tools import SUITES, tools_folder
from harness.commands.model_lines import model_lines
from harness.commands.plan import command_line
from harness.commands.resources import sync_environments
from harness.console import Console
from harness.datasets.resized import resized_dataset
from harness.environments.records import SyncedEnvironment
from harness.environments.variables import worker_environment
from harness.errors import RecordError
from harness.execution.planning import Choice
from harness.execution.process import WorkerError
from harness.execution.suites import run_suites
from harness.spec.cells import Cell
from harness.spec.events import Skip
from harness.spec.implementations import Implementation
from harness.spec.manifest import Manifest, Run
from harness.spec.micro import (
    Micro,
    MicroConditions,
    MicroFailure,
    MicroFramework,
    MicroManifest,
)
from harness.spec.proof_events import Parity
from harness.spec.selection import Selection
from harness.store.micro import MicroWriter, has_micro, read_micro_manifest
from harness.temporary import temporary_folder
from harness.worker.micro_job import BATCH_SIZES, MicroJob, write_job


class Request(NamedTuple):
    """What the command line asks for beside the selection."""

    batch_sizes: tuple[int, ...] = BATCH_SIZES
    quick: bool = False
    select: str = ""
    """As pytest's ``-k``."""


class Session:
    """One invocation: frameworks one after the other, never two at a time."""

    def __init__(
        self,
        console: Console,
        catalogue: Catalogue,
        selection: Selection,
        request: Request,
        base: Micro | None,
    ) -> None:
        self._console = console
        self._catalogue = catalogue
        self._selection = selection
        self._request = request
        self._base = base

    def measure(self, proofs: Run, folder: Path) -> None:
        """Every framework that ``proofs`` proved is measured, into the run in ``folder``.

        Raises:
            LevelfieldError: they could not begin; one framework's failure is recorded instead.
        """
        environments = self._environments(proofs.manifest)
        modes = proved_modes(proofs)
        manifest = self._manifest(proofs, folder, environments)
        if self._base is not None:
            check_comparable(self._base, manifest)
        if has_micro(folder):
            manifest = merged(read_micro_manifest(folder), manifest)
        data = self._data(proofs.manifest)
        tools = {
            name: tools_folder(self._console, one)
            for name, one in environments.items()
            if modes.get(name)
        }
        (folder / "logs").mkdir(exist_ok=True)
        with MicroWriter(folder, manifest) as writer:
            for name, environment in environments.items():
                if not modes.get(name):
                    writer.begin(name)
                    continue
                cell = next(one for one in proofs.manifest.cells if one.framework == name)
                try:
                    job = self._job(
                        cell, environment, modes[name], data, tools[name], writer.begin(name)
                    )
                    self._measure_one(writer, cell, job, environment, folder)
                except WorkerError as error:
                    writer.replace_manifest(self._with_failure(writer.manifest, cell, error))

    def _measure_one(
        self,
        writer: MicroWriter,
        cell: Cell,
        job: MicroJob,
        environment: SyncedEnvironment,
        folder: Path,
    ) -> None:
        """The file of one framework stands in the run.

        Raises:
            WorkerError: it does not.
        """
        name, began = cell.framework, time.monotonic()
        title = self._title(cell)
        self._console.say(f"{title}, micro-benchmarks ({', '.join(job.modes)})")
        try:
            with temporary_folder("micro", for_sockets=True) as scratch:
                path = scratch / "job.json"
                write_job(job, path)
                run_suites(
                    Path(environment.python),
                    self._variables(cell, scratch),
                    path,
                    folder / "logs" / f"micro-{name}.log",
                    SuiteProgress(self._console, title),
                    options=environment.options,
                )
            file = writer.accept(name)
        except RecordError as error:
            raise WorkerError("results", str(error)) from None
        finally:
            writer.abandon(name)
        self._console.say(
            f"{title}: {len(file.benchmarks)} benchmarks in {time.monotonic() - began:.0f} s"
        )

    def _variables(self, cell: Cell, scratch: Path) -> dict[str, str]:
        """Of the process that measures ``cell``; what it leaves when killed is in ``scratch``."""
        implementation = self._implementation(cell)
        matched = worker_environment(implementation, cell.settings, cell.threads, cell.device)
        return {**matched, "TMPDIR": str(scratch)}

    def _job(
        self,
        cell: Cell,
        environment: SyncedEnvironment,
        modes: tuple[str, ...],
        data: str,
        tools: Path,
        output: Path,
    ) -> MicroJob:
        implementation = self._implementation(cell)
        return MicroJob(
            implementation=cell.framework,
            package=environment.record.package,
            folder=implementation.folder,
            shared=implementation.shared_folders,
            model=self._catalogue.models[cell.recipe.model],
            optimizer=cell.recipe.optimizer,
            modes=modes,
            batch_sizes=self._request.batch_sizes,
            device=cell.device,
            threads=cell.threads,
            seed=self._selection.seed,
            init=cell.recipe.init,
            data=data,
            tools=str(tools),
            suites=str(SUITES),
            output=str(output.absolute()),
            quick=self._request.quick,
            select=self._request.select,
        )

    def _environments(self, known: Manifest) -> dict[str, SyncedEnvironment]:
        """Framework → its environment, in the run's order."""
        choices = [
            Choice(self._catalogue.implementation(one.framework, one.variant), one.asked_version)
            for one in known.environments
        ]
        synced = sync_environments(self._console, choices, known.cells[0].device)
        return {one.record.framework: one for one in synced}

    def _data(self, known: Manifest) -> str:
        """The folder of the arrays that all of them read."""
        datasets = same_datasets(self._console, known, self._selection.data_dir)
        recipe = known.cells[0].recipe
        _, height, width = self._catalogue.models[recipe.model].input_shape
        progress = DatasetProgress(self._console)
        return resized_dataset(datasets[recipe.dataset], (height, width), progress).folder

    def _manifest(
        self, proofs: Run, folder: Path, environments: dict[str, SyncedEnvironment]
    ) -> MicroManifest:
        known = proofs.manifest
        first = known.cells[0]
        return MicroManifest(
            run=folder.name,
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            levelfield=__version__,
            command=command_line(),
            machine=known.machine,
            conditions=MicroConditions(
                recipe=first.recipe.label,
                model=first.recipe.model,
                dataset=first.recipe.dataset,
                device=first.device,
                threads=first.threads,
                settings=first.settings,
                seed=self._selection.seed,
                batch_sizes=self._request.batch_sizes,
                quick=self._request.quick,
            ),
            select=self._request.select,
            frameworks=tuple(
                MicroFramework(
                    framework=name,
                    title=known.titles.get(name, name),
                    version=one.record.version,
                    modes=tuple(cell.mode for cell in known.cells if cell.framework == name),
                    environment=one.record.key,
                    environment_bytes=one.size_bytes,
                    model_lines=self._model_lines(name, one),
                )
                for name, one in environments.items()
            ),
            proofs=tuple(event for event in proofs.events if isinstance(event, Parity)),
            failures=tuple(unproved(proofs)),
            skips=tuple(
                f"{event.what}: {event.reason}"
                for event in proofs.events
                if isinstance(event, Skip)
            ),
        )

    def _model_lines(self, framework: str, environment: SyncedEnvironment) -> dict[str, int]:
        implementation = self._catalogue.implementation(framework, environment.record.variant)
        return model_lines(*map(Path, (implementation.folder, *implementation.shared_folders)))

    def _with_failure(
        self, manifest: MicroManifest, cell: Cell, error: WorkerError
    ) -> MicroManifest:
        """``manifest`` with what went wrong, which the user has been told."""
        title = self._title(cell)
        self._console.warn(f"{title}, {error.phase}: {error.reason}")
        failure = MicroFailure(
            framework=cell.framework,
            what=title,
            phase=error.phase,
            reason=error.reason,
            detail=error.detail,
        )
        return msgspec.structs.replace(manifest, failures=(*manifest.failures, failure))

    def _implementation(self, cell: Cell) -> Implementation:
        return self._catalogue.implementation(cell.framework, cell.variant)

    def _title(self, cell: Cell) -> str:
        return f"{self._implementation(cell).title} {cell.version}"


class SuiteProgress:
    """Tells the console how far a framework's suite is."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._quarter = 0

    def __call__(self, line: str) -> None:
        """``line`` is one that pytest printed."""
        match = re.search(r"(test_\w+(?:\[[^\]]*\])?)?.*\[ *(\d+)%\]", line)
        if match is None:
            return
        done = int(match[2])
        self._console.status(f"{self._title}: {match[1] or 'micro-benchmarks'}, {done} %")
        if not self._console.terminal and self._quarter < done // 25 < 4:
            self._quarter = done // 25
            self._console.say(f"  {25 * self._quarter} % of its benchmarks")
