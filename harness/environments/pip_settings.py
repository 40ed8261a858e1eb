"""pip's settings on this machine: which of them count for an environment, and where each is set.

pip reads them from variables and from up to five files (https://pip.pypa.io/en/stable/topics/configuration/).
Here they are read once, in pip's own order. The pip that fills an environment then gets those that
we know, as variables, and reads no file: what would install elsewhere, or something else, does not
take effect, and what decides which packages come is part of the environment's key.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from harness.errors import WorkplaceError
from harness.paths import user_home

SOURCES = ("index-url", "extra-index-url", "find-links", "no-index")
"""Where packages come from: another index may have another build of the same version."""
FILES = ("constraint", "build-constraint")
"""Their values name files, whose text decides which packages come."""
CHOICES = (
    *FILES,
    *("pre", "only-binary", "no-binary", "prefer-binary", "no-build-isolation"),
)
"""Which packages come."""
_TRANSFERS = (
    *("proxy", "cert", "client-cert", "trusted-host", "timeout", "default-timeout", "retries"),
    *("resume-retries", "cache-dir", "no-cache-dir", "keyring-provider", "use-feature"),
)
"""How they come, which changes nothing of them."""
_KNOWN = frozenset((*SOURCES, *CHOICES, *_TRANSFERS))
_NAMES_A_FILE = re.compile(r"^\s*(?:-[rc]|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE)


class Setting(NamedTuple):
    """One setting, and who made it."""

    value: str
    origin: str
    """A variable or a file."""


def pip_settings(environ: Mapping[str, str] = os.environ) -> dict[str, Setting]:
    """Name → setting, of those that count for an environment.

    Raises:
        WorkplaceError: a file of pip's can't be read.
    """
    of_files: dict[tuple[str, str], Setting] = {}
    for path in _files(environ):
        of_files |= {key: Setting(value, str(path)) for key, value in _read(path)}
    found: dict[str, Setting] = {}
    for section in ("global", "install"):
        found |= {name: each for (of, name), each in of_files.items() if of == section}
    for name, value in environ.items():
        if name.startswith("PIP_"):
            found[_normal(name[4:])] = Setting(value, name)
    return {name: found[name] for name in sorted(found) if name in _KNOWN and found[name].value}


def pip_variables(settings: Mapping[str, Setting]) -> dict[str, str]:
    """The variables that make pip follow ``settings`` and nothing else."""
    named = {f"PIP_{name.upper().replace('-', '_')}": each.value for name, each in settings.items()}
    return {**named, "PIP_CONFIG_FILE": os.devnull}


def deciding(settings: Mapping[str, Setting]) -> tuple[str, ...]:
    """What ``settings`` say of an environment's content: equal texts, equal content.

    Raises:
        WorkplaceError: a file that one of them names can't be read.
    """
    said = []
    for name, each in settings.items():
        if name in FILES:
            said += [f"{name}: {digest}" for digest in _digests(name, each)]
        elif name in SOURCES:
            said.append(f"{name}: {' '.join(map(_without_password, each.value.split()))}")
        elif name in CHOICES:
            said.append(f"{name}: {' '.join(each.value.split())}")
    return tuple(said)


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files, each overriding those before it."""
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return
    home = Path(environ.get("HOME") or user_home() or "/nonexistent")
    if sys.platform == "darwin":
        support = Path("Library/Application Support/pip/pip.conf")
        yield from (Path("/") / support, home / ".pip/pip.conf", home / support)
        yield home / ".config/pip/pip.conf"
    else:
        for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep):
            yield Path(folder) / "pip/pip.conf"
        yield Path("/etc/pip.conf")
        if not (own and Path(own).exists()):
            yield home / ".pip/pip.conf"
            yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    if own:
        yield Path(own)


def _read(path: Path) -> list[tuple[tuple[str, str], str]]:
    if not path.is_file():
        return []
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
    except PermissionError:
        return []  # pip passes over it too
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        what = " ".join(str(error).split())
        raise WorkplaceError(f"pip's own settings can't be read ({what}): mend {path}") from None
    return [
        ((section, _normal(name)), value)
        for section in parser.sections()
        for name, value in parser.items(section)
    ]


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _without_password(address: str) -> str:
    """``address`` without who asks: that may be another one every hour."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _digests(name: str, setting: Setting) -> Iterator[str]:
    """Of each file that the setting leads to; an address on the network stands for itself."""
    waiting, seen = setting.value.split(), set()
    while waiting:
        place = waiting.pop(0)
        if place in seen:
            continue
        seen.add(place)
        if re.match(r"https?://", place):
            yield _without_password(place)
            continue
        path = Path(place.removeprefix("file://"))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WorkplaceError(
                f"pip's setting {name}, made by {setting.origin}, names {place}, which can't be "
                f"read ({error}): mend or remove that setting"
            ) from None
        yield hashlib.sha256(text.encode()).hexdigest()
        waiting += [str(path.parent / other) for other in _NAMES_A_FILE.findall(text)]
