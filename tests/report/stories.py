"""What a made-up run tells of: recipes, versions, and what went well or wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from harness.spec.cells import Input
from harness.spec.events import AnyEvent, GpuReading
from harness.spec.proof_events import Hashes
from harness.spec.recipes import Published, Recipe
from impls.adapter import Adam, Sgd

PUBLISHED = Published(
    source="Dive into Deep Learning, first edition, section 5.5",
    hardware="CPU, 35.3 to 37.7 s an epoch",
    test_accuracy=(0.100, 0.610, 0.713, 0.746, 0.763),
    train_accuracy=(0.103, 0.368, 0.636, 0.710, 0.736),
    train_loss=(2.3193, 1.6310, 0.9264, 0.7382, 0.6659),
)
SGD = Recipe(
    name="lenet-sgd",
    model="lenet",
    dataset="fashion-mnist",
    batch_size=256,
    epochs=5,
    init="xavier",
    optimizer=Sgd(learning_rate=0.9),
    published=PUBLISHED,
    target_accuracy=0.70,
)
ADAM = Recipe(
    name="lenet-adam",
    model="lenet",
    dataset="fashion-mnist",
    batch_size=256,
    epochs=5,
    init="fan-in-uniform",
    optimizer=Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8),
)
ADAM_64 = msgspec.structs.replace(
    ADAM,
    name="lenet-adam-b64",
    batch_size=64,
    published=Published(
        source="A tutorial that counts its last batch as whole",
        hardware="GPU",
        test_accuracy=(0.7991, 0.8552, 0.8576, 0.8746, 0.8744),
        whole_batches_of=64,
    ),
)
VERSIONS = {"pytorch": "2.14.1", "gluon": "1.9.1", "keras": "3.15.1"}
TITLES = {"pytorch": "PyTorch", "gluon": "MXNet Gluon", "keras": "Keras (TensorFlow)"}
STEP_SECONDS = {"pytorch": 0.0200, "gluon": 0.0424, "keras": 0.0201}
MEMORY_MIB = {"pytorch": 612, "gluon": 488, "keras": 934}
STARTS = {
    "pytorch": (0.04, 1.9, 0.03, 0.05, 6.2, 0.12),
    "gluon": (0.04, 1.1, 0.02, 0.05, 0.09, 0.21),
    "keras": (0.04, 4.6, 0.35, 0.06, 0.80, 0.11),
}
EXPECTED = Hashes(data="da" * 32, weights="3e" * 32, order="0b" * 32)
LOADER_SECONDS = 0.03
"""That each step waits for its batch."""
BEGAN = 1_760_000_000.0


@dataclass(frozen=True)
class Story:
    """What happened in a made-up run."""

    recipes: tuple[Recipe, ...] = (SGD,)
    frameworks: tuple[str, ...] = ("pytorch", "gluon", "keras")
    blocks: int = 10
    rounds: int = 10
    looks: tuple[int, ...] = (10, 20)
    aa: bool = True
    twin_slowdown: float = 1.0
    short_trials: bool = True
    long_trials: bool = True
    parity: bool = True
    wrong_epsilon: str | None = None
    blunt: bool = False
    """Whether rounding alone moves the network so far that nothing is proved in float32."""
    finished: bool = True
    spread: float = 0.02
    step_seconds: dict[str, float] = field(default_factory=lambda: dict(STEP_SECONDS))
    titles: dict[str, str] = field(default_factory=lambda: dict(TITLES))
    versions: dict[str, str] = field(default_factory=lambda: dict(VERSIONS))
    fallback_for: str | None = None
    extra: tuple[AnyEvent, ...] = ()
    seed: int = 7
    seeds: tuple[int, ...] = (7,)
    """Of the long trials: one long block of each recipe for each."""
    stuck: tuple[int, ...] = ()
    """Seeds with which nothing is ever learned."""
    sources: tuple[Input, ...] = ("resident",)
    gpu: GpuReading | None = None
    """Of every window, where it happened on a GPU."""

    def with_(self, **changes: object) -> Story:
        return replace(self, **changes)  # type: ignore[arg-type]
