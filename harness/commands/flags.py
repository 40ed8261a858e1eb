"""The selection flags: declared once, taken by every command that measures."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer

from harness.errors import UsageError
from harness.spec.cells import INPUTS, Input, Settings
from harness.spec.selection import FrameworkChoice, GivenPython, Selection, numbers_in

if TYPE_CHECKING:
    from harness.commands.catalogue import Catalogue

Frameworks = Annotated[
    list[str] | None, typer.Option("-f", "--framework", metavar="NAME[@VERSION]")
]
Device = Annotated[str | None, typer.Option("--device", help="cpu, gpu or gpu:N.")]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", help="Folder with the dataset's IDX files.")
]
ImplDirs = Annotated[
    list[str] | None,
    typer.Option(
        "--impl-dir", help="Folder that holds implementations of your own (NAME/impl.toml)."
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder that gets results/ and reports/.")]
Junit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


LONGEST_SECONDS = 366 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What was given on the command line, one field for each option."""

    framework: Frameworks = None
    recipe: Annotated[list[str] | None, typer.Option("-r", "--recipe")] = None
    mode: Annotated[
        list[str] | None,
        typer.Option("--mode", help="How a step is executed: 'list frameworks' shows the modes."),
    ] = None
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="resident, or the framework's own data loader: loader as its tutorials write it, "
            "pipeline as an expert does.",
        ),
    ] = None
    loader_workers: Annotated[
        int,
        typer.Option("--loader-workers", min=0, help="A loader's own processes or threads."),
    ] = 0
    device: Device = None
    threads: Annotated[
        list[str] | None,
        typer.Option("--threads", metavar="N[,N]", help="CPU threads; several are all measured."),
    ] = None
    batch_size: Annotated[
        list[str] | None,
        typer.Option(
            "--batch-size",
            metavar="N[,N]",
            help="Examples of a step; several are all measured. The learning rate stays.",
        ),
    ] = None
    settings: Annotated[list[str] | None, typer.Option("--settings", help="matched or stock.")] = (
        None
    )
    dataset: Annotated[str | None, typer.Option("--dataset")] = None
    data_dir: DataDir = None
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1)] = 0
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Of the long trials.")] = (
        None
    )
    blocks: Annotated[
        int | None, typer.Option("--blocks", min=0, help="One look after so many; 5 for verdicts.")
    ] = None
    budget: Annotated[
        str | None, typer.Option("--budget", help="Such as 10m: blocks fixed from the first one.")
    ] = None
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            help="Such as 2h: how long a silent worker is waited for. Without it, this follows "
            "from the work.",
        ),
    ] = None
    no_aa: Annotated[bool, typer.Option("--no-aa", help="No second copy of the reference.")] = False
    reference: Annotated[
        str | None, typer.Option("--reference", help="Contender that the others are compared with.")
    ] = None
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Prove anew what earlier runs have proved.")
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and how long it takes.")
    ] = False
    impl_dir: ImplDirs = None
    python: Annotated[
        list[str] | None,
        typer.Option(
            "--python",
            metavar="NAME[@LABEL]=PATH",
            help="An interpreter that has the framework already; nothing is installed into it.",
        ),
    ] = None
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run.")
    ] = None
    junit: Junit = None
    out: Out = Path()
    json: Json = False

    def selection(self) -> Selection:
        """What they ask for.

        Raises:
            UsageError: a word or a time that is none.
        """
        if self.device is not None and not re.fullmatch(r"cpu|gpu(:\d+)?", self.device):
            raise UsageError(
                f"--device is {self.device!r}, expected cpu, gpu or gpu:N: choose one of these"
            )
        inputs = _words("--input", self.input, INPUTS, ("resident",))
        if self.loader_workers and inputs == ("resident",):
            raise UsageError(
                f"--loader-workers is {self.loader_workers} where no loader is measured, expected "
                "none: add --input loader or --input pipeline, or leave it out"
            )
        settings = _words("--settings", self.settings, ("matched", "stock"), ("matched",))
        return Selection(
            frameworks=tuple(FrameworkChoice.parse(text) for text in self.framework or ()),
            recipes=tuple(self.recipe or ()),
            modes=tuple(self.mode or ()),
            inputs=cast(tuple[Input, ...], inputs),
            loader_workers=self.loader_workers,
            device=self.device,
            threads=numbers_in("--threads", self.threads or ()),
            batch_sizes=numbers_in("--batch-size", self.batch_size or ()),
            settings=cast(tuple[Settings, ...], settings),
            dataset=self.dataset,
            data_dir=self.data_dir,
            seed=self.seed,
            epochs=self.epochs,
            blocks=self.blocks,
            budget_seconds=_seconds("--budget", self.budget),
            timeout_seconds=_seconds("--timeout", self.timeout),
            aa=False if self.no_aa else None,
            reference=self.reference,
            fresh=self.fresh,
            impl_dirs=tuple(self.impl_dir or ()),
            pythons=self.pythons(),
        )

    def pythons(self) -> tuple[GivenPython, ...]:
        """The interpreters that are there already.

        Raises:
            UsageError: a word that names none, or two for one.
        """
        from harness.commands.pythons import given_pythons

        return given_pythons(self.python or ())

    def catalogue(self) -> Catalogue:
        """All that there is to choose from, with these interpreters.

        Raises:
            UsageError: a file or a flag is wrong.
        """
        from harness.commands.catalogue import read_catalogue
        from harness.commands.pythons import with_pythons

        return with_pythons(read_catalogue(self.impl_dir or ()), self.pythons())


def check_writable(junit_file: Path) -> None:
    """The file can be written: that must not show only after the measurement.

    Raises:
        UsageError: it can't.
    """
    known = junit_file.exists()
    try:
        junit_file.parent.mkdir(parents=True, exist_ok=True)
        with junit_file.open("ab"):
            pass
        if not known:
            junit_file.unlink()
    except OSError as error:
        raise UsageError(
            f"--junit {junit_file} can't be written ({error.strerror}), expected a file: "
            "name another"
        ) from None


def takes_flags(
    *left_out: str, one_number_of_threads: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The command's parameter ``flags: Flags`` is an option for each field of ``Flags``.

    Fields in ``left_out`` are none of its options and keep their defaults.
    ``one_number_of_threads``: it compares nothing over several.
    """
    hints = get_type_hints(Flags, include_extras=True)
    options = {
        field.name: inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(Flags)
        if field.name not in left_out
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)

        @functools.wraps(command)
        def expanded(**given: Any) -> None:
            flags = Flags(**{name: given.pop(name) for name in options})
            if flags.junit is not None:
                check_writable(flags.junit)
            if one_number_of_threads:
                _check_one("--threads", flags.threads)
            command(flags=flags, **given)

        kept = [parameter for name, parameter in own.parameters.items() if name != "flags"]
        # This is what typer reads.
        expanded.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[*kept, *options.values()]
        )
        return expanded

    return decorate


def _words(
    flag: str, given: list[str] | None, known: tuple[str, ...], default: tuple[str, ...]
) -> tuple[str, ...]:
    for word in given or ():
        if word not in known:
            raise UsageError(
                f"{flag} is {word!r}, expected one of {', '.join(known)}: choose one of these"
            )
    return tuple(dict.fromkeys(given or default))


def _check_one(flag: str, given: list[str] | None) -> None:
    numbers = numbers_in(flag, given or ())
    if len(numbers) > 1:
        raise UsageError(
            f"{flag} is {','.join(map(str, numbers))}, expected one number here: "
            "'levelfield run', 'verify' and 'compare' go through several"
        )


def _seconds(flag: str, text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise UsageError(
            f"{flag} is {text!r}, expected a time such as 90s, 10m or 1h, a year at most: give one"
        )
    return seconds
