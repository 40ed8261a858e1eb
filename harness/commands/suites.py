"""The suites of commands that measure without one of their own in ``benchmarks/suites``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.commands.catalogue import Catalogue
from harness.spec.suites import TAX, Suite

USUAL = "cpu"
"""The suite whose frameworks and recipes hold where nobody says others."""
ALL_MODELS = "zoo"
"""The suite that has every model."""
REPRODUCED = ("lenet-sgd", "lenet-avg-sgd", "lenet-adam", "lenet-adam-b64")
"""What ``reproduce`` trains where no recipe is named: those whose curves others have shown."""
TAX_WINDOW_EXAMPLES = 5120
"""20 steps of 256, 160 steps of 32."""


def proof_alone(catalogue: Catalogue, *, every_recipe: bool) -> Suite:
    """Every mode of every framework, held against the oracle and not measured."""
    usual = catalogue.suites[USUAL]
    modes = [mode for one in catalogue.implementations.values() for mode in one.modes]
    return Suite(
        name="verify",
        description="",
        recipes=tuple(catalogue.recipes) if every_recipe else usual.recipes,
        frameworks=usual.frameworks,
        every_framework=True,
        modes=tuple(dict.fromkeys(modes)),
        # In the batches in which they can be timed here, where images are large.
        overrides=catalogue.suites[ALL_MODELS].overrides,
        long_trials=False,
        blocks=0,
        aa=False,
    )


def reproduction(catalogue: Catalogue, recipes: Sequence[str], seeds: int) -> Suite:
    """Whole recipes over several seeds, for their curves alone."""
    return Suite(
        name="reproduce",
        description="",
        recipes=tuple(recipes) or REPRODUCED,
        frameworks=catalogue.suites[USUAL].frameworks,
        seeds=seeds,
        blocks=0,
        aa=False,
    )


def comparison(catalogue: Catalogue) -> Suite:
    """One recipe, in versions of a framework that are named beside it."""
    return msgspec.structs.replace(catalogue.suites[USUAL], name="compare", recipes=REPRODUCED[:1])


def tax(catalogue: Catalogue, recipes: Iterable[str], rounds: int) -> Suite:
    """Adapters beside scripts, for their speed alone."""
    return Suite(
        name=TAX,
        description="",
        recipes=tuple(recipes),
        frameworks=catalogue.suites[USUAL].frameworks,
        rounds=rounds,
        window_examples=TAX_WINDOW_EXAMPLES,
        long_trials=False,
    )


def micro_proofs(catalogue: Catalogue) -> Suite:
    """The proof that comes before micro-benchmarks, of the recipe that they take apart."""
    return Suite(
        name="micro",
        description="",
        recipes=REPRODUCED[:1],
        frameworks=catalogue.suites[USUAL].frameworks,
        modes=("eager", "compiled"),
        long_trials=False,
        blocks=0,
        aa=False,
    )
