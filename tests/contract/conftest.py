"""Every implementation in its own environment, made on first use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from harness import paths
from harness.environments.collection import Environments
from harness.environments.variables import worker_environment
from harness.spec.implementations import read_implementation

from .drawn import DRAWN_SEED, FRAMEWORKS, FROM_DRAWN_SEED, HELD, IN_ALL_MODES, modes_of


@pytest.fixture(scope="session")
def verifications(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Answers of ``levelfield verify``, for real: what is held in every framework × mode first."""
    print(f"verifying {HELD}")
    everything = _verified(tmp_path_factory, IN_ALL_MODES)
    recipes: dict[int | None, list[str]] = {}
    for recipe, drawn in HELD.items():
        if recipe not in IN_ALL_MODES:
            recipes.setdefault(drawn, []).append(recipe)
    return [
        everything,
        *(
            answer
            for drawn, names in recipes.items()
            for answer in _verified_by_mode(tmp_path_factory, names, drawn)
        ),
    ]


@pytest.fixture(scope="session")
def verified_from_drawn_seed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The same of small recipes, in the mode that each framework names first, from today's seed."""
    print(f"verifying {', '.join(FROM_DRAWN_SEED)} from seed {DRAWN_SEED}")
    return _verified_by_mode(tmp_path_factory, FROM_DRAWN_SEED, 0, f"--seed={DRAWN_SEED}")


def _verified_by_mode(
    tmp_path_factory: pytest.TempPathFactory,
    recipes: Sequence[str],
    drawn: int | None,
    *flags: str,
) -> list[dict[str, Any]]:
    """One answer for each of the modes that ``drawn`` means, of the frameworks that have it."""
    if drawn is None:
        return [_verified(tmp_path_factory, recipes, *flags)]
    names: dict[str, list[str]] = {}
    for one in FRAMEWORKS:
        for mode in modes_of(one, drawn):
            names.setdefault(mode, []).append(f"--framework={one.name}")
    return [
        _verified(tmp_path_factory, recipes, f"--mode={mode}", *chosen, *flags)
        for mode, chosen in names.items()
    ]


def _verified(
    tmp_path_factory: pytest.TempPathFactory, recipes: Sequence[str], *flags: str
) -> dict[str, Any]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "verify", "--json", *flags),
            *(f"--recipe={recipe}" for recipe in recipes),
        ],
        cwd=tmp_path_factory.mktemp("verification"),
        env={**os.environ, "PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode in (0, 3), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="session")
def answer_in() -> Callable[..., Any]:
    """Runs a program in a framework's own environment, with the variables that its ``impl.toml``
    sets; gives what it prints last, from JSON."""

    def answer(
        framework: str, program: str, *arguments: str, loader: bool = False, **how: Any
    ) -> Any:
        implementation = read_implementation(paths.IMPLS / framework)
        environment = Environments().sync(implementation, "cpu", loader=loader)
        own = worker_environment(implementation, "matched", 2, "cpu")
        variables = {name: own[name] for name in implementation.environment_on("cpu")}
        done = subprocess.run(
            [environment.python, "-c", program, *arguments],
            cwd=paths.ROOT,
            env={**how.pop("env", os.environ), **variables},
            capture_output=True,
            text=True,
            timeout=600,
            **how,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return answer
