"""What an environment is made from, and the key that follows from it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.environments.moving import settled_line
from harness.environments.pip_settings import deciding, pip_settings
from harness.errors import UsageError, WorkplaceError
from harness.spec.implementations import Implementation
from harness.spec.tables import written_bytes

_KEY_FORMAT = 1
"""Raised when environments are made in another way, so that old ones are not taken for new."""
_COMMENT = re.compile(r"(^|\s+)#.*$")
"""A comment, by pip's own rule: at the start of a line or after white space."""
_OPERATOR = re.compile(r"[<>=!~@\[]")
"""What no version holds, and nearly every requirement does."""
_OTHER_FILE = re.compile(r"(-[rce]|--(requirement|constraint|editable))(\s|=|[^-\s]|$)")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what an environment holds."""

    framework: str
    package: str
    """The distribution whose version is the framework's version."""
    device: str
    """``cpu`` or ``gpu``: each has its own requirements file."""
    python: str
    """``major.minor``: a patch release of the base interpreter serves the same environment."""
    requirements: tuple[str, ...]
    """Lines for pip, without comments and blank lines."""
    settled: tuple[str, ...] = ()
    """The same lines with what they stand for today, where one of them may stand for something
    else tomorrow (see ``moving``)."""
    settings: tuple[str, ...] | None = None
    """What pip's own settings say of the content; None: made when nobody asked them."""
    revision: str = ""
    """Of the implementation, where a run measures two; the environment may well be one."""
    asked_version: str | None = None
    """The framework's version, or a requirement, where the user asked for one instead of the file's
    own."""

    @property
    def key(self) -> str:
        """12 hexadecimal digits: equal keys are equal environments."""
        parts: tuple[object, ...] = (_KEY_FORMAT, self.framework, self.device, self.python)
        parts += (self.lines,)
        if self.settings:
            parts += (self.settings,)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]

    @property
    def lines(self) -> tuple[str, ...]:
        """What pip is given."""
        return self.settled or self.requirements

    @property
    def moving(self) -> tuple[str, ...]:
        """Those lines that lead to something else another day, as they are settled now."""
        return tuple(line for line in self.settled if line not in self.requirements)

    def serves(self, wanted: Wanted) -> bool:
        """Whether what was made from this is what ``wanted`` asks for, whatever it is called."""
        return (
            (self.device, self.python, self.lines) == (wanted.device, wanted.python, wanted.lines)
        ) and self.settings in (None, wanted.settings)

    @property
    def name(self) -> str:
        """Name of the environment's folder."""
        return f"{self.framework}-{self.key}"

    @property
    def variant(self) -> str:
        """As ``Cell.variant``: revision, and what was asked for beside the framework's version."""
        asked = self.asked_version or ""
        requirement = re.sub(r"[^\w.]+", "-", asked) if _OPERATOR.search(asked) else ""
        return "-".join(part for part in (self.revision, requirement) if part)


def wanted_environment(
    implementation: Implementation,
    device: str,
    python: str,
    version: str | None = None,
    *,
    loader: bool = False,
    settle: bool = True,
) -> Wanted:
    """What today's requirements file asks for on ``device``, with ``version`` put into it.

    ``version``: the framework's, or a requirement of another package in place of the file's own.

    ``loader``: with what the framework's own data loader needs beside that, if anything.
    ``settle``: with what moving requirements stand for now, which may have to be asked for on the
    network.

    Raises:
        UsageError: a line of the file, or the version, can't be used.
        WorkplaceError: the implementation has no requirements file for this device; something that
            it or pip's settings name can't be read, or does not answer.
    """
    lines = _read_lines(implementation, implementation.requirements(device), device)
    extra = implementation.loader_requirements(device)
    if loader and extra.exists():
        lines += _read_lines(implementation, extra, device)
    if version is not None:
        lines = _asked_lines(lines, implementation, implementation.distribution(device), version)
    source = f"{implementation.name}'s {implementation.requirements(device).name}"
    settled = tuple(settled_line(line, source) for line in lines) if settle else lines
    return Wanted(
        framework=implementation.name,
        package=implementation.distribution(device),
        device=device.split(":")[0],
        python=python,
        requirements=lines,
        settled=settled if settled != lines else (),
        settings=deciding(pip_settings()),
        revision=implementation.variant,
        asked_version=version,
    )


def pinned_lines(lines: tuple[str, ...], package: str, version: str) -> tuple[str, ...]:
    """``lines`` with the one for ``package`` asking for exactly ``version``; the others kept."""
    name = canonicalize_name(package)
    if not any(_named(line) == name for line in lines):
        return (*lines, f"{package}=={version}")
    return tuple(_pinned(line, version) if _named(line) == name else line for line in lines)


def _asked_lines(
    lines: tuple[str, ...], implementation: Implementation, package: str, asked: str
) -> tuple[str, ...]:
    if not _OPERATOR.search(asked):
        return pinned_lines(lines, package, _checked(implementation, package, asked))
    _check_requirement(asked, f"{implementation.name}@{asked}")
    name = _named(asked)
    if name == canonicalize_name(package):
        raise UsageError(
            f"{implementation.name}@{asked} asks for {package} itself, expected "
            f"its version alone: write {implementation.name}@1.2.3"
        )
    return (*(line for line in lines if _named(line) != name), asked)


def requirement_lines(text: str, source: str) -> tuple[str, ...]:
    """The lines of a requirements file that pip acts on, each checked.

    Raises:
        UsageError: a line is no requirement, or leads to another file. The text decides the
            environment's key, so it has to be all there is.
    """
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = []
    for raw in joined.splitlines():
        line = " ".join(_COMMENT.sub("", raw).split())
        if not line:
            continue
        if _OTHER_FILE.match(line):
            raise UsageError(
                f"{source}: {line!r} leads to another file, expected only requirements and "
                "options: write that file's lines here"
            )
        if not line.startswith("-"):
            _check_requirement(line, source)
        lines.append(line)
    return tuple(lines)


def _read_lines(implementation: Implementation, path: Path, device: str) -> tuple[str, ...]:
    try:
        return requirement_lines(written_bytes(path).decode(), str(path))
    except FileNotFoundError:
        raise WorkplaceError(
            f"{implementation.name} has no {path.name} in {path.parent}, so it can't run on "
            f"{device}: write that file, or choose another --device"
        ) from None
    except UnicodeDecodeError as error:
        raise WorkplaceError(f"{path} can't be read ({error}): mend that file") from None


def _checked(implementation: Implementation, package: str, version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion:
        raise UsageError(
            f"{implementation.name}@{version}: {version!r} is no version, expected one of "
            f"{package}'s, such as 1.2.3, or the label of an interpreter: mend what follows the @, "
            f"or add --python {implementation.name}@{version}=PATH"
        ) from None


def _check_requirement(line: str, source: str) -> None:
    try:
        Requirement(_bare(line))
    except InvalidRequirement as error:
        # Only the first line: the rest is a drawing of where the parser stopped.
        what = str(error).splitlines()[0]
        raise UsageError(
            f"{source}: {line!r} is no requirement ({what}), expected one such as "
            "'name==1.2.3': mend that line"
        ) from None


def _pinned(line: str, version: str) -> str:
    """``line`` for exactly ``version``: extras and markers stay, hashes and addresses do not."""
    requirement = Requirement(_bare(line))
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}=={version}{marker}"


def _named(line: str) -> str | None:
    """The distribution that ``line`` asks for, in its canonical spelling; nothing for options."""
    return None if line.startswith("-") else canonicalize_name(Requirement(_bare(line)).name)


def _bare(line: str) -> str:
    """The requirement without pip's options for it, such as ``--hash=…``."""
    return line.split(" --")[0]
