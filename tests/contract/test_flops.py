"""FLOPs and parameters counted from the definition, against a framework's own counts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from harness import paths
from harness.spec.recipes import read_models

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

MODELS = read_models(paths.BENCHMARKS / "models.toml")

COUNT = """
import json, sys, torch
from torch.utils.flop_counter import FlopCounterMode
from impls.pytorch.models import MODELS

IMAGES = 2
counts = {}
for name, shape in json.load(sys.stdin).items():
    with torch.device("meta"):  # shapes without values: nothing is computed
        model, images = MODELS[name](), torch.empty(IMAGES, *shape)
    with FlopCounterMode(display=False) as forward:
        logits = model(images)
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    flops = [counter.get_total_flops() // IMAGES for counter in (forward, backward)]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    counts[name] = {"forward": flops[0], "training": sum(flops), "parameters": parameters}
json.dump(counts, sys.stdout)
"""


@pytest.fixture(scope="module")
def counted(answer_in: Callable[..., Any]) -> dict[str, dict[str, int]]:
    """Model → what PyTorch counts, its FLOPs by ``torch.utils.flop_counter.FlopCounterMode``."""
    shapes = {name: model.input_shape for name, model in MODELS.items()}
    counts: dict[str, dict[str, int]] = answer_in("pytorch", COUNT, input=json.dumps(shapes))
    return counts


@pytest.mark.parametrize("name", MODELS)
def test_the_definition_counts_what_the_framework_counts(
    name: str, counted: dict[str, dict[str, int]]
) -> None:
    model = MODELS[name]
    ours = {
        "forward": model.forward_flops(),
        "training": model.training_flops(),
        "parameters": sum(math.prod(shape) for shape in model.parameter_shapes().values()),
    }
    assert ours == counted[name]
