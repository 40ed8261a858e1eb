from __future__ import annotations

import msgspec

from harness.analysis.builds import confounders, environments_of
from harness.spec.machine import Environment

from .runs import cell


def environment(version: str = "2.0", **packages: str) -> Environment:
    return Environment(
        framework="alpha", key="k", python="3.11", version=version, package="alpha-core",
        packages={"alpha-core": version, "numpy": "2.1", **packages},
    )  # fmt: skip


def test_another_version_of_the_framework_alone_confounds_nothing():
    assert confounders(environment("2.0"), environment("2.1")) == ()


def test_what_else_changed_is_named():
    assert confounders(environment("2.0"), environment("2.1", numpy="2.2")) == (
        "other packages differ: numpy 2.1 against 2.2",
    )


def test_a_long_list_is_cut_and_counted():
    many = {f"package-{number}": "1" for number in range(7)}
    [clause] = confounders(environment(**many), environment("2.1", **dict.fromkeys(many, "2")))
    assert clause.count("against") == 4
    assert clause.endswith("package-3 1 against 2 and 3 more")


def test_a_requirement_that_was_asked_for_is_the_subject_itself():
    asked = msgspec.structs.replace(environment(numpy="2.2"), asked_version="numpy==2.2")
    assert confounders(environment(), asked) == ()
    both = msgspec.structs.replace(environment("2.1", numpy="2.2"), asked_version="numpy==2.2")
    # Who asks for another numpy learns that the framework came along.
    assert "alpha-core" not in " ".join(confounders(environment("2.1"), both))


def test_builds_that_differ_are_named():
    one, other = environment("2.1+cu130"), environment("2.0+cpu")
    assert confounders(one, other) == ("the builds differ: alpha-core +cu130 against +cpu",)
    assert confounders(one, environment("2.1")) == (
        "the builds differ: alpha-core +cu130 against no label",
    )


def test_a_build_for_an_accelerator_shows_in_what_came_with_it():
    one = environment("2.1", **{"nvidia-cudnn-cu13": "9.1"})
    assert confounders(one, environment("2.0")) == (
        "only the first is a build for an accelerator (nvidia-cudnn-cu13 comes with it)",
    )


def test_another_interpreter_is_named():
    other = msgspec.structs.replace(environment("2.1"), python="3.12")
    assert confounders(environment(), other) == ("Python 3.11 against 3.12",)


def test_a_revision_shares_the_environment_of_its_version():
    known = environment("1.0")
    of = cell("alpha")
    base = msgspec.structs.replace(of, variant="base-1234")
    elsewhere = msgspec.structs.replace(of, version="9")
    found = environments_of([of, base, elsewhere], [known])
    assert found == {of.id: known, base.id: known}


def test_interpreters_that_were_there_already_are_named():
    theirs = msgspec.structs.replace(environment(), interpreter="~/a/bin/python")
    assert confounders(theirs, theirs) == ()
    assert confounders(environment(), theirs) == (
        "an environment made from requirements against the interpreter ~/a/bin/python",
    )
    other = msgspec.structs.replace(theirs, interpreter="/b/bin/python", python="3.12.1")
    assert confounders(theirs, other) == (
        "the interpreter ~/a/bin/python against the interpreter /b/bin/python",
        "Python 3.11 against 3.12.1",
    )


def test_a_label_is_not_the_subject():
    """It asks for no package: the framework's own is what the comparison is about."""
    one, other = (
        msgspec.structs.replace(environment(version), asked_version=label, variant=label)
        for version, label in (("2.0", "old"), ("2.1", "new"))
    )
    assert confounders(one, other) == ()
