"""Who is the base of a gate, and who its head: two commits, or two versions of a framework."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness import paths
from harness.commands.catalogue import Catalogue
from harness.commands.revisions import commit_of, merge_base, repository_of, revision_tree
from harness.errors import UsageError
from harness.execution.planning import (
    Choice,
    LeftOut,
    check_pythons_used,
    chosen_implementations,
    named,
)
from harness.spec.cells import OF_BASE
from harness.spec.gates import GateSettings, GateTerms
from harness.spec.implementations import Implementation, read_implementation
from harness.spec.selection import FrameworkChoice, Selection


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate puts side by side."""

    catalogue: Catalogue
    pairs: tuple[Choice, ...]
    """Base, head, base, head."""
    left_out: tuple[LeftOut, ...]
    terms: GateTerms


def revisions(
    catalogue: Catalogue,
    selection: Selection,
    base: str,
    settings: GateSettings,
    *,
    exact: bool = False,
) -> Comparison:
    """What the work tree holds, against what it held when HEAD and ``base`` parted.

    ``exact``: against what ``base`` holds, which charges the branch with what others did there.

    Raises:
        UsageError: there is no such revision, or nothing that both have.
    """
    repository = repository_of(Path.cwd())
    tip = commit_of(repository, base, "--base-exact" if exact else "--base")
    commit = tip if exact else merge_base(repository, base)
    impl_dirs = tuple(_below(repository, folder) for folder in selection.impl_dirs)
    if not impl_dirs and repository != paths.ROOT:
        raise UsageError(
            f"{repository} holds no levelfield, expected the one that runs ({paths.ROOT}): name "
            "your own implementations with --impl-dir"
        )
    of_base, left_out = base_implementations(repository, commit, impl_dirs)
    of_base = {
        name: msgspec.structs.replace(one, pythons=catalogue.implementations[name].pythons)
        if name in catalogue.implementations
        else one
        for name, one in of_base.items()
    }
    unreadable = {each.what for each in left_out}
    parents = {str((repository / each).resolve()) for each in impl_dirs or ("impls",)}
    of_head = {
        name: one
        for name, one in catalogue.implementations.items()
        if str(Path(one.folder).parent) in parents and one.role == "framework"
    }
    asked = chosen_implementations(catalogue.suites["gate"], selection, catalogue.implementations)
    choices = [choice for choice in asked if choice.implementation.name in of_head]
    twice = [
        name for name, n in Counter(one.implementation.name for one in choices).items() if n > 1
    ]
    if twice:
        raise UsageError(
            f"-f names {' and '.join(twice)} twice, expected one version of a framework, for base "
            "and head alike: leave one out, or compare two with --base-framework"
        )
    pairs: list[Choice] = []
    for choice in choices:
        name = choice.implementation.name
        if name in of_base:
            pairs += [Choice(of_base[name], choice.version), choice]
        elif name not in unreadable:
            left_out.append(LeftOut(name, f"the base, {commit[:12]}, does not have it"))
    left_out += [
        LeftOut(name, "the work tree does not have it any more")
        for name, one in of_base.items()
        if name not in of_head and one.role == "framework"
    ]
    named_ones = {each.name for each in selection.frameworks}
    left_out = [each for each in left_out if each.what in named_ones or not named_ones]
    if not pairs:
        reasons = "; ".join(f"{each.what}: {each.reason}" for each in left_out)
        raise UsageError(
            f"Nothing to compare: the work tree has {_listed(of_head)}, {commit[:12]} of {base} "
            f"has {_listed(of_base)} ({reasons or 'nothing else'}), expected one that both have: "
            "choose another base or -f"
        )
    return Comparison(
        catalogue=with_base(catalogue, of_base),
        pairs=tuple(pairs),
        left_out=tuple(left_out),
        terms=settings.terms(base, commit, impl_dirs, tip=tip),
    )


def versions(
    catalogue: Catalogue, selection: Selection, base_framework: str, settings: GateSettings
) -> Comparison:
    """A framework against itself in another version.

    Raises:
        UsageError: they are not two versions of one framework.
    """
    base = FrameworkChoice.parse(base_framework)
    heads = selection.frameworks or (FrameworkChoice(base.name),)
    if base.version is None or [each.name for each in heads] != [base.name]:
        given = " ".join(f"-f {each.name}" for each in heads)
        raise UsageError(
            f"--base-framework is {base_framework!r} with {given}, expected a version of the one "
            f"framework that -f names: write --base-framework {base.name}@1.2.3 -f {base.name}"
        )
    if heads[0].version == base.version:
        raise UsageError(
            f"--base-framework and -f are both {base_framework}, expected two versions: change one"
        )
    frameworks = {n: one for n, one in catalogue.implementations.items() if one.role == "framework"}
    implementation = named("framework", base.name, frameworks)
    pairs = (Choice(implementation, base.version), Choice(implementation, heads[0].version))
    check_pythons_used(selection, pairs, catalogue.implementations)
    return Comparison(
        catalogue=catalogue,
        pairs=pairs,
        left_out=(),
        terms=settings.terms(base_framework, None, selection.impl_dirs),
    )


def base_implementations(
    repository: Path, commit: str, impl_dirs: Sequence[str]
) -> tuple[dict[str, Implementation], list[LeftOut]]:
    """Those of ``commit``, by name, and what can't be read there.

    Our own bring the worker of their time with them.
    """
    tree = revision_tree(repository, commit)
    found, unreadable = {}, []
    for each in impl_dirs or ("impls",):
        for path in sorted((tree / each).glob("*/impl.toml")):
            try:
                one = read_implementation(path.parent)
            except UsageError as error:
                # Nobody can mend a commit: the others are compared.
                why = str(error).replace(f"{tree}/", f"{commit[:12]}:")
                unreadable.append(LeftOut(path.parent.name, f"the base's can't be read: {why}"))
            else:
                found[one.name] = msgspec.structs.replace(
                    one, variant=f"{OF_BASE}{commit[:12]}", tree="" if impl_dirs else str(tree)
                )
    return found, unreadable


def with_base(catalogue: Catalogue, of_base: dict[str, Implementation]) -> Catalogue:
    """``catalogue``, with the implementations of a gate's base beside those of the work tree."""
    beside = {one.key: one for one in of_base.values()}
    return catalogue._replace(implementations={**catalogue.implementations, **beside})


def _below(repository: Path, folder: str) -> str:
    try:
        return str(Path(folder).resolve().relative_to(repository.resolve()))
    except ValueError:
        raise UsageError(
            f"--impl-dir {folder} is outside the repository {repository}, expected a folder of "
            "it: go to the repository that holds it"
        ) from None


def _listed(implementations: dict[str, Implementation]) -> str:
    names = [name for name, one in implementations.items() if one.role == "framework"]
    return ", ".join(names) or "none"
