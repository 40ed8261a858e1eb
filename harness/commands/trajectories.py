"""What the oracle computed for one cell, and the file in which that is kept for other runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.analysis.deviations import Observation, Quantity, Sums
from harness.files import whole


class Trajectory(NamedTuple):
    """What the oracle computes of a recipe from one seed: for a proof, and step by step on."""

    observation: Observation
    """For the proof: single steps, then a window."""
    envelope: Mapping[Quantity, float]
    """How far rounding moves each quantity of it."""
    finer_envelope: Mapping[Quantity, float]
    """Likewise in float64; empty of models of which float32 proves enough."""
    losses: NDArray[np.float64]
    """(N,): mean loss of each step's batch, in nats."""
    correct: NDArray[np.int64]
    """(N,): hits of each step's batch."""
    rounded_losses: NDArray[np.float64]
    """(V, N): the same in each of the rounded modes; see ``_moved``."""
    rounded_correct: NDArray[np.float64]
    """(V, N)."""
    last: Mapping[str, NDArray[Any]]
    """Weights after step N."""
    last_envelope: Mapping[str, float]
    """How far rounding moves each of them."""

    @property
    def size_bytes(self) -> int:
        """Of its weights, which are most of it."""
        seen = self.observation
        held = (*seen.weights.values(), *seen.end.values(), *seen.partial.values())
        return sum(array.nbytes for array in (*held, *self.last.values()))


def keep_trajectory(path: Path, trajectory: Trajectory) -> None:
    """``trajectory`` is in the file ``path``, whole."""
    seen = trajectory.observation
    arrays: dict[str, NDArray[Any]] = {
        "logits": seen.logits,
        "logits_after_step": seen.logits_after_step,
        **{f"weights/{name}": array for name, array in seen.weights.items()},
        **{f"end/{name}": array for name, array in seen.end.items()},
        **{f"partial/{name}": array for name, array in seen.partial.items()},
        **{f"last/{name}": array for name, array in trajectory.last.items()},
        "losses": trajectory.losses,
        "correct": trajectory.correct,
        "rounded_losses": trajectory.rounded_losses,
        "rounded_correct": trajectory.rounded_correct,
    }
    facts = {
        "envelope": [(*quantity, off) for quantity, off in trajectory.envelope.items()],
        "finer_envelope": [(*each, off) for each, off in trajectory.finer_envelope.items()],
        "last_envelope": dict(trajectory.last_envelope),
        "single_losses": list(seen.losses),
        "window": seen.window,
    }
    arrays["facts"] = np.frombuffer(msgspec.json.encode(facts), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path, durable=False) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy/numpy#23006


def read_trajectory(path: Path) -> Trajectory | None:
    """What ``keep_trajectory`` has written; nothing where there is none, or none that is whole."""
    try:
        # NumPy leaves a file open that it can't read.
        with path.open("rb") as file, np.load(file) as archive:
            arrays = {name: archive[name] for name in archive.files}
        facts = msgspec.json.decode(arrays["facts"].tobytes())

        def under(prefix: str) -> dict[str, NDArray[Any]]:
            return {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }

        return Trajectory(
            observation=Observation(
                logits=arrays["logits"],
                weights=under("weights/"),
                logits_after_step=arrays["logits_after_step"],
                losses=tuple(facts["single_losses"]),
                window=None if facts["window"] is None else Sums(*facts["window"]),
                end=under("end/"),
                partial=under("partial/"),
            ),
            envelope={Quantity(*entry[:3]): entry[3] for entry in facts["envelope"]},
            finer_envelope={Quantity(*each[:3]): each[3] for each in facts["finer_envelope"]},
            losses=arrays["losses"],
            correct=arrays["correct"],
            rounded_losses=arrays["rounded_losses"],
            rounded_correct=arrays["rounded_correct"],
            last=under("last/"),
            last_envelope=facts["last_envelope"],
        )
    except Exception:  # of many kinds: it is made anew, whatever is wrong with it
        return None
